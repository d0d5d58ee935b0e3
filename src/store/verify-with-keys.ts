/**
 * What only the holder of the master key can check of an encrypted shard. Commits are chained by SHA-256 alone: whoever can
 * write the file can alter a row and make all crcs and links anew. But not the HMACs that are among them (extra.ts):
 *
 * - Each HMAC is right. It covers a commit and the link before it, and so all commits before it.
 * - Each commit with a row of codec 2 has one: where such a row was written, the key was at hand.
 * - From the first commit that has one on, each has one, since a row that was erased no longer shows its codec. All but
 *   commits of the engine's own records: an erasure needs no key, in a backup nor in a store that is restored.
 * - Each value opens under the key of its entity, with all that it belongs to. One of codec 2 that was made to look like
 *   one of codec 1, so that its commit needs no HMAC, does not.
 *
 * So up to the last commit that must have an HMAC, nothing can be altered, left out or put in. Not seen: that commits are
 * missing at the end, as in a copy of an earlier day (unless something was erased since: then its key is gone, and its
 * receipt is there); when the erasures that come last were recorded; and, in a shard where all that was ever written in
 * codec 2 is erased, what is altered beside the contents of codec 1.
 */
import { type Cipher, isOfCodec2 } from './cipher.ts'
import type { SnapshotRow } from './commit.ts'
import { ENGINE } from './erasure.ts'
import { extraWithout, MAC, tagsOf } from './extra.ts'
import type { Row } from './row.ts'
import type { SealedCommit } from './seal.ts'

/** Commits with the same thing wrong: the first of them, and how many. */
interface Wrong {
  readonly first: number
  count: number
}

export class VerifyWithKeys {
  private hasBegun = false
  private altered: Wrong | null = null
  private bare: Wrong | null = null
  private readonly closed = new Set<number>()

  /** @param cipher with the keys. @param problem told of each in words */
  constructor(
    private readonly cipher: Cipher,
    private readonly problem: (text: string) => void,
  ) {}

  /** The next commit, whose `extra` is a list of tags. @param previous the head of the one before */
  commit(previous: Uint8Array, commit: SealedCommit & { readonly content: Uint8Array }, rows: readonly Row[]): void {
    this.checkMac(previous, commit, rows)
    for (const row of rows) this.open(row.entity, () => this.cipher.row(row))
  }

  snapshot(row: SnapshotRow): void {
    if (row.state !== '') this.open(row.entity, () => this.cipher.stateOf(row))
  }

  /** After the last commit. */
  conclude(): void {
    const { altered, bare } = this
    if (altered !== null)
      this.problem(
        `commit ${altered.first} or one before it was altered: its HMAC is not what the key makes of it${others(altered)}`,
      )
    if (bare !== null) this.problem(`commit ${bare.first} has no HMAC, and was made with the key${others(bare)}`)
  }

  private checkMac(
    previous: Uint8Array,
    commit: SealedCommit & { readonly content: Uint8Array },
    rows: readonly Row[],
  ): void {
    const mac = tagsOf(commit.extra)?.get(MAC)
    if (mac === undefined) {
      const isDue = this.hasBegun
        ? rows.some(({ entity }) => entity !== ENGINE)
        : rows.some(({ data }) => isOfCodec2(data))
      if (isDue) this.bare = counted(this.bare, commit.id)
      return
    }
    this.hasBegun = true
    const made = this.cipher.macOf(previous, commit.content, { ...commit, extra: extraWithout(commit.extra, MAC) })
    if (!made?.equals(mac)) this.altered = counted(this.altered, commit.id)
  }

  /** Of an entity, the first value that does not open is told. What was erased meanwhile is passed over. */
  private open(entity: number, open: () => unknown): void {
    try {
      open()
    } catch (error) {
      if (!this.closed.has(entity)) this.problem((error as Error).message)
      this.closed.add(entity)
    }
  }
}

function counted(wrong: Wrong | null, id: number): Wrong {
  return { first: wrong?.first ?? id, count: (wrong?.count ?? 0) + 1 }
}

function others({ count }: Wrong): string {
  return count === 1 ? '' : `; so with ${count - 1} after it`
}
