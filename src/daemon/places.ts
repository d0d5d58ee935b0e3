/**
 * Who may be connected at a time. There are three kinds of places, so that nobody takes those of another kind:
 *
 *     local      by the socket in the store, which only its owner can open
 *     admitted   over TCP, and has shown the token
 *     strangers  over TCP, and has not yet
 *
 * All that come over TCP leave a part of the files that this process may open to the local ones and to the store itself: a
 * shard that could not be opened would be as bad as a door that is shut.
 *
 * When all places of strangers are taken, a new one gets that of the oldest. Were the new one turned away, as many as there are
 * places, who come and say nothing, would lock everybody out until their time is over. As it is, someone who has the token
 * gets in if less than that many come between his connecting and his first line, which is on its way then or here already:
 * one connection is accepted in each turn of the event loop, and what others have sent is read in between. So a flood must
 * bring 64 within a round trip, and again at every try.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { KumaError } from '../errors.ts'
import type { Bounds } from './bounds.ts'
import type { Peer } from './peer.ts'

/** Of the files that clients may be, those over TCP may be so many. */
const TCP_SHARE = 0.75
/** Files that are not open yet when the daemon begins: of each shard for reading and writing, and of everything else. */
const FILES_OF_SHARD = 8
const FILES_KEPT = 64
const FILES_MIN = 8

export class Places {
  private readonly local = new Set<Peer>()
  private readonly admitted = new Set<Peer>()
  /** The oldest first. */
  private readonly strangers = new Set<Peer>()
  private readonly filesMax: number

  /** @param shards of the store */
  constructor(
    private readonly bounds: Bounds,
    shards: number,
  ) {
    this.filesMax = Math.max(FILES_MIN, filesLeft() - FILES_KEPT - FILES_OF_SHARD * shards)
  }

  get size(): number {
    return this.local.size + this.admitted.size + this.strangers.size
  }

  get all(): readonly Peer[] {
    return [...this.local, ...this.admitted, ...this.strangers]
  }

  /** @returns who must go for it. @throws KUMA_OVERLOADED */
  enter(peer: Peer): Peer | null {
    if (peer.isLocal) {
      this.assertRoom(this.local, this.filesMax)
      this.local.add(peer)
      return null
    }
    const { admitted, strangers } = this
    const isFull = this.tcp >= Math.floor(this.filesMax * TCP_SHARE) || this.size >= this.filesMax
    const oldest = strangers.size >= this.bounds.unauthorizedMax || isFull ? strangers.values().next().value : undefined
    if (isFull && oldest === undefined) throw tooMany(admitted.size)
    if (oldest !== undefined) strangers.delete(oldest)
    strangers.add(peer)
    return oldest ?? null
  }

  /** It has shown the token. @throws KUMA_OVERLOADED */
  admit(peer: Peer): void {
    if (!this.strangers.has(peer)) return
    this.assertRoom(this.admitted, Number.POSITIVE_INFINITY)
    this.strangers.delete(peer)
    this.admitted.add(peer)
  }

  leave(peer: Peer): void {
    for (const places of [this.local, this.admitted, this.strangers]) places.delete(peer)
  }

  private get tcp(): number {
    return this.admitted.size + this.strangers.size
  }

  private assertRoom(places: ReadonlySet<Peer>, filesMax: number): void {
    if (places.size >= this.bounds.clientsMax || this.size >= filesMax) throw tooMany(places.size)
  }
}

/** How many more files this process may open. Without /proc nobody knows; then `clientsMax` alone counts. */
function filesLeft(): number {
  try {
    const limit = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
    return limit === undefined ? Number.POSITIVE_INFINITY : Number(limit) - readdirSync('/proc/self/fd').length
  } catch {
    return Number.POSITIVE_INFINITY
  }
}

function tooMany(clients: number): KumaError<'KUMA_OVERLOADED'> {
  const message = `the daemon has no place for one more client: ${clients} are connected`
  const hint =
    'try again when others have gone; `daemon.clientsMax` in kuma.config.ts, or `ulimit -n`, sets how many there may be'
  return new KumaError('KUMA_OVERLOADED', message, { retryAfterMs: 1_000 }, { hint })
}
