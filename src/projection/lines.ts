import { StringDecoder } from 'node:string_decoder'

/** The lines of a stream, read as they are asked for. What comes after the last end of a line is none. */
export async function* lines(stream: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new StringDecoder('utf8')
  let parts: string[] = []
  for await (const chunk of stream) {
    const [first, ...rest] = decoder.write(chunk).split('\n') as [string, ...string[]]
    parts.push(first)
    if (rest.length === 0) continue
    yield parts.join('')
    yield* rest.slice(0, -1)
    parts = [rest.at(-1)!]
  }
}
