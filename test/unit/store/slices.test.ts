import { expect, test } from 'vitest'
import { breathe, inSlices } from '../../../src/store/slices.ts'

function busy(ms: number): void {
  const end = performance.now() + ms
  while (performance.now() < end);
}

/** Work of `steps` steps of a millisecond each, which notes when it takes one. */
function* work(name: string, steps: number, notes: string[]): Generator<void, string> {
  for (let i = 0; i < steps; i++) {
    notes.push(name)
    busy(1)
    yield
  }
  return name
}

test('what fits into a slice is done at once', async () => {
  await breathe()
  expect(inSlices(work('a', 1, []))).toBe('a')
})

test('more than that is done over several turns, by all who have work in turn', async () => {
  await breathe()
  const notes: string[] = []
  let turns = 0
  const count = () => {
    turns++
    ticking = setImmediate(count)
  }
  let ticking = setImmediate(count)
  const done = await Promise.all(['a', 'b', 'c'].map((name) => inSlices(work(name, 10, notes))))
  clearImmediate(ticking)
  expect(done).toEqual(['a', 'b', 'c'])
  // 30 ms of work, at most 5 (and the step that goes over it) in a turn
  expect(turns).toBeGreaterThanOrEqual(4)
  expect(notes.indexOf('b')).toBeLessThan(notes.lastIndexOf('a'))
  expect(notes.indexOf('c')).toBeLessThan(notes.lastIndexOf('a'))
})

test('of hundreds, 64 take turns and the others wait in line', async () => {
  await breathe()
  const begun = new Set<string>()
  const ended: string[] = []
  let most = 0
  function* waiting(name: string): Generator<void, void> {
    begun.add(name)
    for (let i = 0; i < 3; i++) yield
    most = Math.max(most, begun.size - ended.length)
    ended.push(name)
  }
  const first = inSlices(work('long', 8, []))
  await Promise.all([first, ...Array.from({ length: 300 }, (_, i) => inSlices(waiting(`w${i}`)))])
  expect(ended).toHaveLength(300)
  expect(most).toBeLessThanOrEqual(64)
})

test('work that throws rejects, and the others go on', async () => {
  await breathe()
  function* failing(): Generator<void, void> {
    busy(6)
    yield
    throw new Error('no')
  }
  const failed = inSlices(failing())
  const other = inSlices(work('a', 3, []))
  await expect(failed).rejects.toThrow('no')
  expect(await other).toBe('a')
})
