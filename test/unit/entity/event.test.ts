import { describe, expect, test } from 'vitest'
import { formatPosition, mergeMeta } from '../../../src/entity/event.ts'

describe('mergeMeta', () => {
  test('lays metas over each other, the last one winning', () => {
    const merged = mergeMeta({ by: 'ann', ip: '::1', tenant: 1 }, undefined, { by: 'bo' }, { tenant: { id: 2 } })
    expect(merged).toEqual({ by: 'bo', ip: '::1', tenant: { id: 2 } })
  })

  test('what is undefined overrides nothing', () => {
    expect(mergeMeta({ by: 'ann' }, { by: undefined })).toEqual({ by: 'ann' })
  })

  test('gives null if nothing is left', () => {
    expect(mergeMeta()).toBeNull()
    expect(mergeMeta(undefined, {}, { by: undefined })).toBeNull()
  })

  test('gives a copy', () => {
    const meta = { tags: ['a'] }
    const merged = mergeMeta(meta)
    meta.tags.push('b')
    expect(merged).toEqual({ tags: ['a'] })
  })

  test.each(['by', 'ip', 'reason', 'correlationId', 'causationId'])('wants text in `%s`', (name) => {
    expect(() => mergeMeta({ [name]: 7 })).toThrow(
      expect.objectContaining({ code: 'KUMA_INVALID_DATA', details: { path: `.${name}` } }),
    )
    expect(() => mergeMeta({ [name]: null })).toThrow(expect.objectContaining({ code: 'KUMA_INVALID_DATA' }))
  })

  test.each([
    ['a key of the engine', { $key: 'x' }],
    ['what JSON cannot hold', { at: new Date(0) }],
    ['something that is no object', 'by ann'],
    ['null', null],
  ])('refuses %s', (_, meta) => {
    expect(() => mergeMeta(meta as never)).toThrow(expect.objectContaining({ code: 'KUMA_INVALID_DATA' }))
  })
})

test('a position is the shard in three digits and the seq', () => {
  expect(formatPosition(0, 1)).toBe('000:1')
  expect(formatPosition(3, 1284)).toBe('003:1284')
  expect(formatPosition(998, Number.MAX_SAFE_INTEGER)).toBe('998:9007199254740991')
})
