/** The process that looks for remnants in files, one after the other. */
import { KumaError } from '../errors.ts'
import { answerQuestions } from './helper.ts'
import { findRemnants, type Remnants } from './remnants.ts'

answerQuestions(function* (files: readonly string[]): Generator<Remnants> {
  for (const file of files) yield look(file)
})

function look(file: string): Remnants {
  try {
    return findRemnants(file)
  } catch (cause) {
    throw new KumaError('KUMA_IO', `${file} could not be checked: ${(cause as Error).message}`, { path: file })
  }
}
