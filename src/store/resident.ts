/**
 * How much memory another process holds. On Linux the kernel tells it in kB in /proc/PID/status (`statm` counts pages, of a
 * size that Node does not know); elsewhere `ps` does, in the same unit.
 */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** In bytes. Null if it has ended, or nobody tells. */
export async function residentBytes(pid: number): Promise<number | null> {
  const kib = await (process.platform === 'linux' ? inProc(pid) : byPs(pid)).catch(() => '')
  return kib === '' ? null : Number(kib) * 1024
}

async function inProc(pid: number): Promise<string> {
  return /^VmRSS:\s*(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1] ?? ''
}

async function byPs(pid: number): Promise<string> {
  return (await run('ps', ['-o', 'rss=', '-p', String(pid)])).stdout.trim()
}
