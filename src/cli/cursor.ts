/**
 * A cursor is a file that keeps a place in a store: { "store": its id, "position": a token, "crcs": of the events there, by
 * shard }. It moves past what was handled and no further. A store of which the folder was set back by a copy of it says
 * nothing of that: other events at the place do. The first cursors have no crcs. It is written beside its name, synced and
 * then renamed, so that it is whole whatever happens.
 */
import { accessSync, constants, readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { FeedPage } from '../engine.ts'
import type { Position } from '../entity/event.ts'
import { ioError, writeDurably, writeError } from '../store/directory.ts'
import { usage } from './event-data.ts'

/** Where nothing else says when, it is written so often: each time costs an fsync. */
export const CURSOR_MS = 500

/** A place that was come to, with the crcs there as far as they are known. */
export type Reached = Pick<FeedPage, 'position' | 'crcs'>

/** After one of the items of a page, which are all of one shard. */
export function reachedIn({ items, crcs, itemCrcs }: FeedPage, index: number): Reached {
  const { position, entityKey } = items[index]!
  return { position, crcs: crcs?.with(shardOf(entityKey), itemCrcs![index]!) }
}

function shardOf(entityKey: string): number {
  return Number.parseInt(entityKey, 10)
}

/** A place as the feed takes it. */
export interface KeptPlace {
  readonly from: Position
  readonly crcs: readonly number[] | true
}

export class Cursor {
  private readonly path: string

  constructor(
    file: string,
    private readonly store: string,
  ) {
    this.path = resolve(file)
  }

  /** Null if there is none yet. @throws KUMA_USAGE for a file that is none of this store's; KUMA_IO, also if none can be kept */
  read(): KeptPlace | null {
    const text = this.text()
    if (text === null) return null
    const { store, position, crcs = true } = parsed(text)
    if (typeof store !== 'string' || typeof position !== 'string' || !(crcs === true || areNumbers(crcs)))
      throw usage(`${this.path} is not a cursor`)
    if (store === this.store) return { from: position, crcs }
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
  write({ position, crcs }: Reached): void {
    try {
      writeDurably(this.path, `${JSON.stringify({ store: this.store, position, crcs })}\n`)
    } catch (error) {
      throw writeError(error, this.path)
    }
  }
}

function areNumbers(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'number')
}

function parsed(text: string): { store?: unknown; position?: unknown; crcs?: unknown } {
  try {
    return (JSON.parse(text) ?? {}) as { store?: unknown; position?: unknown; crcs?: unknown }
  } catch {
    return {}
  }
}
