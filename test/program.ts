import { type ChildProcess, spawn } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'

/** What runs a program in TypeScript, in any Node: as a loader it would have newer ones print that loaders are deprecated. */
export const JITI = join(dirname(fileURLToPath(import.meta.resolve('jiti/package.json'))), 'lib', 'jiti-cli.mjs')

/** One of the programs beside the tests, as a process that does not outlive its test. */
export function launchProgram(program: string, ...args: string[]): ChildProcess {
  const file = join(import.meta.dirname, 'programs', program)
  const child = spawn(process.execPath, [JITI, file, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

/** A process that holds the store at `path` open for writing. */
export async function hold(path: string): Promise<ChildProcess> {
  const child = launchProgram('hold-store.ts', path)
  await new Promise((resolve, reject) => {
    child.stdout!.once('data', resolve)
    child.once('exit', () => reject(new Error('the holder ended')))
  })
  return child
}
