/** What an import reads: a file, or stdin. */
import { createReadStream, type ReadStream, type Stats, statSync } from 'node:fs'
import { KumaError } from '../errors.ts'
import { source } from './gunzip.ts'

const CHUNK = 256 * 1024

export interface Input {
  /** as it was given: - is stdin */
  readonly name: string
  /** Unpacked. */
  read(): AsyncGenerator<Uint8Array>
  /** It can be read more than once. */
  readonly again: boolean
  /** How much of a file has been read, from 0 to 1, packed or not: of anything else nobody knows. */
  part(): number | undefined
}

/** @param name - is stdin @throws KUMA_IO */
export function inputOf(name: string): Input {
  if (name === '-') return { name, read: () => source(process.stdin), again: false, part: () => undefined }
  const stats = statOf(name)
  const again = stats.isFile() // a pipe has a name too
  let stream: ReadStream | undefined
  return {
    name,
    read: () => {
      stream = createReadStream(name, { highWaterMark: CHUNK })
      return source(stream)
    },
    again,
    part: () => (again && stream ? Math.min(1, stream.bytesRead / Math.max(1, stats.size)) : undefined),
  }
}

function statOf(path: string): Stats {
  let stats: Stats
  try {
    stats = statSync(path)
  } catch (cause) {
    throw new KumaError('KUMA_IO', `cannot read ${path}: ${(cause as Error).message}`, { path }, { cause })
  }
  if (!stats.isDirectory()) return stats
  throw new KumaError('KUMA_IO', `cannot read ${path}: it is a directory`, { path })
}
