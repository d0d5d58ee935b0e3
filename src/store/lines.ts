import { StringDecoder } from 'node:string_decoder'

/** The lines of a stream, read as they are asked for. What comes after the last end of a line is none. */
export async function* lines(stream: AsyncIterable<Buffer> | Iterable<Buffer>): AsyncGenerator<string> {
  const split = splitter()
  for await (const chunk of stream) yield* split(chunk)
}

/** Gives the lines that end in each chunk. */
export function splitter(): (chunk: Buffer) => string[] {
  const decoder = new StringDecoder('utf8')
  let parts: string[] = []
  return (chunk) => {
    const [first, ...rest] = decoder.write(chunk).split('\n') as [string, ...string[]]
    parts.push(first)
    if (rest.length === 0) return []
    const found = [parts.join(''), ...rest.slice(0, -1)]
    parts = [rest.at(-1)!]
    return found
  }
}
