/**
 * A cursor is a file that keeps a place in a store: { "store": its id, "position": a token }. It moves past what was handled
 * and no further. It is written beside its name, synced and then renamed, so that it is whole whatever happens.
 */
import { accessSync, constants, readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { Position } from '../entity/event.ts'
import { ioError, writeDurably, writeError } from '../store/directory.ts'
import { usage } from './event-data.ts'

/** Where nothing else says when, it is written so often: each time costs an fsync. */
export const CURSOR_MS = 500

export class Cursor {
  private readonly path: string

  constructor(
    file: string,
    private readonly store: string,
  ) {
    this.path = resolve(file)
  }

  /** Null if there is none yet. @throws KUMA_USAGE for a file that is none of this store's; KUMA_IO, also if none can be kept */
  read(): Position | null {
    const text = this.text()
    if (text === null) return null
    const { store, position } = parsed(text)
    if (typeof store !== 'string' || typeof position !== 'string') throw usage(`${this.path} is not a cursor`)
    if (store === this.store) return position
    throw usage(
      `${this.path} is a cursor of another store`,
      'give another file; a restored store is the same, a fork is not',
    )
  }

  private text(): string | null {
    try {
      accessSync(dirname(this.path), constants.W_OK | constants.X_OK)
    } catch (error) {
      throw ioError(error, this.path)
    }
    try {
      return readFileSync(this.path, 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
      throw ioError(error, this.path)
    }
  }

  /** @throws KUMA_IO, KUMA_DISK_FULL */
  write(position: Position): void {
    try {
      writeDurably(this.path, `${JSON.stringify({ store: this.store, position })}\n`)
    } catch (error) {
      throw writeError(error, this.path)
    }
  }
}

function parsed(text: string): { store?: unknown; position?: unknown } {
  try {
    return (JSON.parse(text) ?? {}) as { store?: unknown; position?: unknown }
  } catch {
    return {}
  }
}
