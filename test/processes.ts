/** What the system tells of processes. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Those that a process has started, and that have not ended. */
export async function childrenOf(pid: number): Promise<number[]> {
  const { stdout } = await run('ps', ['-A', '-o', 'pid=,ppid=,stat='])
  const all = stdout.split('\n').map((line) => line.trim().split(/\s+/))
  return all.flatMap(([child, parent, state]) => (Number(parent) === pid && state?.[0] !== 'Z' ? [Number(child)] : []))
}

export function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
