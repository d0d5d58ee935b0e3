/** The command, timed from start to end. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

export const root = join(import.meta.dirname, '..', '..')
export const binary = join(root, 'bin', 'run.js')

/** Milliseconds. @param stdout `ignore` for what prints much */
export function kuma(args, stdout = 'pipe') {
  return node([binary, ...args], stdout)
}

export function node(args, stdout = 'pipe') {
  const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env // reading certificates would triple every start
  const begin = performance.now()
  const child = spawnSync(process.execPath, args, { env, encoding: 'utf8', stdio: ['ignore', stdout, 'pipe'] })
  const ms = performance.now() - begin
  if (child.status !== 0) throw new Error(`${args.join(' ')} ended with ${child.status}: ${child.stderr}`)
  return ms
}
