import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { contentOf, genesis, headOf, leafOf } from '../../../src/store/seal.ts'

const sha256 = (...parts: (Uint8Array | string)[]) => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest('hex')
}
const hex = (latin1: string) => Buffer.from(latin1, 'latin1').toString('hex')
const u64 = (value: number) => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64LE(BigInt(value))
  return bytes
}

test('a leaf covers the salt, the rows, and in the commit that creates the entity its id and type', () => {
  const [salt, a, b] = [Buffer.alloc(16, 1), Buffer.from('row a'), Buffer.from('row b')]
  expect(hex(leafOf(salt, [a, b], null))).toBe(sha256(salt, a, b))
  expect(hex(leafOf(salt, [a], { id: 'user_1', type: 'user' }))).toBe(sha256(salt, a, 'user_1\0user'))
})

test('a head covers the one before it, the leaves, the place, the time and what else is sealed', () => {
  const content = contentOf(['leaf 1', 'leaf 2\xff'])
  expect(content.toString('hex')).toBe(sha256('leaf 1', 'leaf 2', Buffer.of(0xff)))
  const first = genesis('store', 3)
  const extra = Buffer.from('a witness')
  const commit = { id: 1, firstSeq: 1, lastSeq: 20, at: 1_793_500_000_000, extra }
  const head = headOf(first, content, commit)
  expect(head.toString('hex')).toBe(sha256(first, content, u64(1), u64(1), u64(20), u64(commit.at), extra))
})

test('each shard of each store has a beginning of its own', () => {
  const heads = [genesis('a', 0), genesis('a', 1), genesis('b', 0)].map(String)
  expect(new Set(heads).size).toBe(3)
})
