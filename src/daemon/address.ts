/** Where a daemon listens, and how a client names it: the folder of a store, or `tcp://HOST:PORT`. */
import { isIP } from 'node:net'
import { KumaError } from '../errors.ts'

export interface TcpAddress {
  readonly host: string
  readonly port: number
}

const SCHEME = 'tcp://'
const HINT = 'write HOST:PORT, as 127.0.0.1:7070 or [::1]:7070'

export function isUrl(target: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(target)
}

/** @param url `tcp://127.0.0.1:7070` @throws KUMA_USAGE */
export function parseUrl(url: string): TcpAddress {
  if (url.startsWith(SCHEME)) return parseAddress(url.slice(SCHEME.length).replace(/\/$/, ''))
  const message = `${JSON.stringify(url)} is no address of a daemon`
  throw new KumaError('KUMA_USAGE', message, {}, { hint: 'write tcp://HOST:PORT, as tcp://127.0.0.1:7070' })
}

/** @param text `127.0.0.1:7070`, `localhost:7070`, `[::1]:7070` @throws KUMA_USAGE */
export function parseAddress(text: string): TcpAddress {
  const match = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9.-]+)):(\d{1,5})$/i.exec(text)
  const [host, port] = [match?.[1] ?? match?.[2], Number(match?.[3])]
  if (host === undefined || port > 65_535 || (match?.[1] !== undefined && isIP(host) !== 6))
    throw new KumaError('KUMA_USAGE', `${JSON.stringify(text)} is no address`, {}, { hint: HINT })
  return { host, port }
}

export function formatAddress({ host, port }: TcpAddress): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`
}

/** Only programs on this machine can come that way. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}
