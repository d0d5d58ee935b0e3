/** What is held in memory. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { childResult } from '../child.js'
import { data } from '../load.js'
import { binary, kuma } from '../shell.js'

export const memory = [
  {
    name: '1,000,000 live actors, each beyond its state',
    unit: 'bytes',
    goal: ['<', 1_024],
    run: ({ path, scaled }) =>
      childResult('actors.js', [path, scaled(1_000_000)], null, ['--expose-gc', '--max-old-space-size=8192']),
  },
  { name: 'peak memory, import of 200,000', unit: 'MiB', run: importMemory(200_000) },
  {
    name: 'peak memory, import of 800,000',
    unit: 'MiB',
    against: [{ name: 'peak memory, import of 200,000' }],
    run: importMemory(800_000),
  },
]

/** The most that the process ever held, as the kernel counts it. Linux only. */
function importMemory(lines) {
  return async ({ path, scaled }) => {
    kuma(['init', path])
    const child = spawn(process.execPath, [binary, 'import', '-', '--dir', path], {
      stdio: ['pipe', 'ignore', 'inherit'],
    })
    const ended = once(child, 'exit')
    let peak = 0
    const look = () => {
      const [, kibibytes] = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8')) ?? []
      peak = Math.max(peak, Number(kibibytes ?? 0) / 1_024)
    }
    for (let n = 0; n < scaled(lines); n++) {
      const line = JSON.stringify({ entity: `e${n % 1_000}`, type: 'Deposited', data: data(n) })
      if (!child.stdin.write(`${line}\n`)) {
        await once(child.stdin, 'drain')
        look()
      }
    }
    look()
    child.stdin.end()
    await ended
    return peak
  }
}
