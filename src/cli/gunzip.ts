/** Bytes of a file or of stdin, unpacked if they are gzip: recognised by its first two bytes and not by a name. */

import { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { KumaError } from '../errors.ts'

/** @throws KUMA_INVALID_DATA when gzip ends too early or is damaged, after all that could be read; KUMA_IO */
export async function* source(input: Readable): AsyncGenerator<Uint8Array> {
  const chunks = readFrom(input)
  const head = await take(chunks, 2)
  const whole = joined(head, chunks)
  if (head[0] === 0x1f && head[1] === 0x8b) yield* unpack(whole)
  else yield* whole
}

async function* readFrom(input: Readable): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of input) yield chunk as Uint8Array
  } catch (cause) {
    throw new KumaError('KUMA_IO', `cannot read the input: ${(cause as Error).message}`, { path: '' }, { cause })
  }
}

async function take(chunks: AsyncGenerator<Uint8Array>, bytes: number): Promise<Uint8Array> {
  let head: Uint8Array = new Uint8Array(0)
  while (head.length < bytes) {
    const { done, value } = await chunks.next()
    if (done) break
    head = head.length === 0 ? value : Buffer.concat([head, value])
  }
  return head
}

async function* joined(head: Uint8Array, rest: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (head.length > 0) yield head
  yield* rest
}

async function* unpack(packed: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  const gunzip = createGunzip()
  const feeding = Readable.from(packed, { objectMode: false })
  feeding.on('error', (error) => gunzip.destroy(error))
  try {
    for await (const chunk of feeding.pipe(gunzip)) yield chunk as Uint8Array
  } catch (cause) {
    const message = `the gzip input ends too early or is damaged (${(cause as Error).message}): what came before is recorded`
    throw new KumaError('KUMA_INVALID_DATA', message, { path: '' }, { cause })
  } finally {
    feeding.destroy()
  }
}
