/** The process that asks the embedded sink: nothing but its end can stop SQLite in the middle of a question. */
import { answerQuestions } from '../store/helper.ts'
import type { Query } from './sink.ts'
import { queryFile } from './sqlite-file.ts'

export interface FileQuery extends Pick<Query, 'sql' | 'params' | 'rowBytesMax'> {
  readonly path: string
}

answerQuestions(({ path, ...query }: FileQuery) => queryFile(path, query))
