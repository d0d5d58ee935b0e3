import { expect, test } from 'vitest'
import type { Range } from '../../../src/engine.ts'
import { rangeOf } from '../../../src/history/range.ts'

/** Versions 1 to 5, at 10 to 50. */
const places = [1, 2, 3, 4, 5].map((version) => ({ version, at: version * 10 }))

test.each<[Range, number[]]>([
  [{}, [1, 2, 3, 4, 5]],
  [{ from: { version: 2 } }, [2, 3, 4, 5]],
  [{ to: { version: 2 } }, [1, 2]],
  [{ from: { version: 3 }, to: { version: 3 } }, [3]],
  [{ from: { at: 20 }, to: { at: 40 } }, [2, 3, 4]],
  [{ from: { at: 21 }, to: { at: 39 } }, [3]],
  [{ from: { at: 20 }, to: { version: 3 } }, [2, 3]],
  [{ from: { version: 4 }, to: { at: 20 } }, []],
  [{ from: { at: 51 } }, []],
])('%j', (range, versions) => {
  const { begun, notEnded } = rangeOf(range)
  expect(places.filter((place) => begun(place) && notEnded(place)).map(({ version }) => version)).toEqual(versions)
})

test.each<Range>([
  { from: { version: 3 }, to: { version: 2 } },
  { from: { at: 30 }, to: { at: 29 } },
])('%j ends before it begins', (range) => {
  expect(() => rangeOf(range)).toThrow(expect.objectContaining({ code: 'KUMA_INVALID_POINT' }))
})
