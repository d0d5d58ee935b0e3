import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

/** One of the programs beside the tests, as a process that does not outlive its test. */
export function launchProgram(program: string, ...args: string[]): ChildProcess {
  const file = join(import.meta.dirname, 'programs', program)
  const child = spawn(process.execPath, ['--import', 'jiti/register', file, ...args], {
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
