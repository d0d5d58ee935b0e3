/** Asks a daemon over HTTP. */
import { once } from 'node:events'
import { request as ask, type IncomingMessage } from 'node:http'
import { join } from 'node:path'

export interface Asked {
  readonly method?: string
  readonly path: string
  readonly headers?: Record<string, string>
  readonly body?: unknown
}

interface Answered {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly text: string
}

/** @param where the store, for its socket; or host and port */
export async function http(where: string | { host: string; port: number }, asked: Asked): Promise<Answered> {
  const { method = 'GET', path, headers = {}, body } = asked
  const target = typeof where === 'string' ? { socketPath: join(where, 'kuma.sock') } : where
  const request = ask({ ...target, method, path, agent: false, headers: { ...headers, connection: 'close' } })
  if (body === undefined) request.end()
  else {
    if (headers['content-type'] === undefined) request.setHeader('content-type', 'application/json')
    request.end(typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body))
  }
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  request.on('error', () => {}) // it was answered, and not all that it sent was taken
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) text += chunk
  return { status: response.statusCode!, headers: response.headers, text }
}
