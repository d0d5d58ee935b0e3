/**
 * A place in the store is one place in each shard, as a token:
 *
 *     SSS:seq[,SSS:seq...]     shard and seq of the last event before it
 *
 * A shard that is not named is at its beginning. The position of one event is the token of its shard alone.
 */
import { KumaError } from '../errors.ts'
import { formatPosition, type Position } from './event.ts'

const PART = /^(\d{3}):(\d{1,16})$/

/** Does it look like one? */
export function isPosition(text: string): boolean {
  return text.split(',').every((part) => PART.test(part))
}

/** @returns seqs by shard, 0 where none is named. @throws KUMA_INVALID_POSITION */
export function parsePosition(token: Position, shards: number): number[] {
  const seqs = new Array<number>(shards).fill(0)
  const named = new Set<number>()
  for (const part of token.split(',')) {
    const match = PART.exec(part)
    const [shard, seq] = [Number(match?.[1]), Number(match?.[2])]
    if (match === null || !Number.isSafeInteger(seq)) throw invalidPosition(token, 'is not a position')
    if (shard >= shards) throw invalidPosition(token, `names shard ${shard}, and there are ${shards}, from 0 on`)
    if (named.has(shard)) throw invalidPosition(token, `names shard ${shard} twice`)
    named.add(shard)
    seqs[shard] = seq
  }
  return seqs
}

/** What stands before and after the part of one shard in the token of a place. */
export function around(seqs: readonly number[], shard: number): readonly [before: string, after: string] {
  const parts = (from: number, to: number) =>
    seqs.slice(from, to).flatMap((seq, i) => (seq === 0 ? [] : [formatPosition(from + i, seq)]))
  const [before, after] = [parts(0, shard), parts(shard + 1, seqs.length)]
  return [before.map((part) => `${part},`).join(''), after.map((part) => `,${part}`).join('')]
}

export function invalidPosition(position: Position, problem: string): KumaError<'KUMA_INVALID_POSITION'> {
  const hint = 'a position is SSS:seq, or several of them: 003:1284,007:12; each line of `kuma tail` has one'
  return new KumaError('KUMA_INVALID_POSITION', `${JSON.stringify(position)} ${problem}`, { position }, { hint })
}
