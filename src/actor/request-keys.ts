/** The request keys of one entity: those used lately are in memory, the others in the shard's index. */
import { checkId } from '../entity/id.ts'
import { KumaError } from '../errors.ts'
import { CUT, isDigestOf, keyHash } from '../store/request-key.ts'
import { NOWHERE, type Stand } from './activate.ts'
import type { Shard } from './actor.ts'

/** What was answered under a request key. */
export interface Keyed {
  readonly digest: string
  /** events in the group; 0 for a command that decided on nothing */
  readonly count: number
  /** of the last row that was recorded for it */
  readonly seq: number
  /** of the entity then, without the state */
  readonly stand: Stand
}

export class RequestKeys {
  /** Used since heads were last written: they are not in the shard's index yet. */
  private recent: Map<string, Keyed> | null = null

  /** @param onDisk may the shard's index have a request key of this entity? */
  constructor(
    private readonly id: string,
    private readonly shard: Shard,
    private onDisk: boolean,
  ) {}

  /**
   * What the key was used for before, or null.
   * @param request as it came @param digest of it
   * @throws KUMA_REQUEST_KEY_REUSED if that was another request
   */
  recall(entity: number, requestKey: string, request: readonly unknown[], digest: string): Keyed | null {
    checkId(requestKey, 'a request key')
    const known = this.recent?.get(requestKey) ?? this.lookUp(entity, requestKey)
    if (known === null || isDigestOf(known.digest, request, digest)) return known
    throw known.digest === CUT ? cut(this.id, requestKey) : reused(this.id, requestKey)
  }

  /** Is anything known of it? */
  knows(entity: number, requestKey: string): boolean {
    checkId(requestKey, 'a request key')
    return (this.recent?.has(requestKey) ?? false) || this.lookUp(entity, requestKey) !== null
  }

  private lookUp(entity: number, requestKey: string): Keyed | null {
    if (!this.onDisk) return null
    const { reader, lane } = this.shard
    const found = reader.keyed(entity, keyHash(this.id, requestKey), requestKey, lane.keyCommits)
    if (found === null) return null
    const { seq, count, digest, last } = found
    const [row] = reader.rows([last])
    const stand = { ...NOWHERE, version: row!.version, seq: last, at: row!.at }
    return { digest, count, seq: count === 0 ? seq : last, stand }
  }

  remember(requestKey: string, keyed: Keyed): void {
    this.recent ??= new Map()
    for (const [key, { seq }] of this.recent) {
      if (seq > this.shard.lane.flushed) break // in order of their seqs
      this.recent.delete(key)
      this.onDisk = true
    }
    this.recent.set(requestKey, keyed)
  }

  /** What comes after was not recorded after all. */
  forgetAfter(seq: number): void {
    for (const [key, keyed] of this.recent ?? []) if (keyed.seq > seq) this.recent!.delete(key)
  }
}

export function reused(id: string, requestKey: string): KumaError<'KUMA_REQUEST_KEY_REUSED'> {
  const message = `the request key ${JSON.stringify(requestKey)} of ${id} was used before, with other events`
  const hint = 'a request key stands for one request: take a new one'
  return new KumaError('KUMA_REQUEST_KEY_REUSED', message, { requestKey }, { hint })
}

function cut(id: string, requestKey: string): KumaError<'KUMA_REQUEST_KEY_REUSED'> {
  const message = `this copy of ${id} has only the first events of those that the request key ${JSON.stringify(requestKey)} stands for`
  const hint = 'it was cut within them: record what is missing under another key'
  return new KumaError('KUMA_REQUEST_KEY_REUSED', message, { requestKey }, { hint })
}
