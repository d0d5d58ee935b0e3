/** The process that asks the embedded sink: nothing but its end can stop SQLite in the middle of a question. */
import { answerQuestions } from '../store/helper.ts'
import type { Query } from './sink.ts'
import { queryFile, tablesOfQuery } from './sqlite-file.ts'

export interface FileQuery extends Pick<Query, 'sql' | 'params' | 'rowBytesMax'> {
  readonly path: string
  /** Only which tables it reads? */
  readonly isOfTables: boolean
}

answerQuestions(({ path, isOfTables, ...query }: FileQuery) =>
  isOfTables ? tablesOfQuery(path, query) : queryFile(path, query),
)
