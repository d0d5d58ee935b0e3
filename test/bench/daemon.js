/** A daemon in a process of its own, for one scenario. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { connect as dial } from 'node:net'
import { join } from 'node:path'
import { start } from '../../dist/index.js'
import { binary, kuma } from './shell.js'

/** Of Linux's clock ticks. */
const TICKS_PER_SECOND = 100

/** @param use is given the store's path and the daemon's process id */
export async function withDaemon({ path }, shards, use) {
  const store = join(path, 'kuma-data')
  await (await start({ path: store, shards })).close()
  const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env
  const child = spawn(process.execPath, [binary, 'start', '--dir', store, '--log-level', 'error'], {
    env,
    stdio: 'inherit',
  })
  const ended = once(child, 'exit')
  while (!(await isListening(store))) if (child.exitCode !== null) throw new Error('the daemon ended')
  try {
    return await use(store, child.pid)
  } finally {
    kuma(['stop', '--dir', store])
    await ended
  }
}

async function isListening(store) {
  const socket = dial(join(store, 'kuma.sock'))
  try {
    await once(socket, 'connect')
    return true
  } catch {
    await new Promise((resolve) => setTimeout(resolve, 20))
    return false
  } finally {
    socket.destroy()
  }
}

/** What a process has used of processors until now, in seconds. Linux tells. */
export function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

export function openFiles(pid) {
  return readdirSync(`/proc/${pid}/fd`).length
}

export function residentBytes(pid) {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024
}
