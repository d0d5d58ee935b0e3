/** Work in a process of its own, which tells its result as JSON on stdout. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

/** @param signal the one that it is expected to end by, if any */
export async function childResult(script, args, signal = null, nodeOptions = []) {
  const file = join(import.meta.dirname, 'children', script)
  const child = spawn(process.execPath, [...nodeOptions, file, ...args.map(String)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [result, [code, endedBy]] = await Promise.all([text(child.stdout), once(child, 'exit')])
  if (endedBy !== signal || (signal === null && code !== 0)) throw new Error(`${script} ended with ${endedBy ?? code}`)
  return JSON.parse(result)
}
