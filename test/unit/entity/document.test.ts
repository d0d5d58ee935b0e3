import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { definitionOf } from '../../../src/entity/define-entity.ts'
import { document, mergeInPlace, mergePatch, mergingInPlace } from '../../../src/entity/document.ts'
import { deepFreeze } from '../../../src/entity/fold.ts'

describe('mergePatch', () => {
  // the test cases of RFC 7396, appendix A
  test.each([
    ['{"a":"b"}', '{"a":"c"}', '{"a":"c"}'],
    ['{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'],
    ['{"a":"b"}', '{"a":null}', '{}'],
    ['{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'],
    ['{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'],
    ['{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'],
    ['{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'],
    ['{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'],
    ['["a","b"]', '["c","d"]', '["c","d"]'],
    ['{"a":"b"}', '["c"]', '["c"]'],
    ['{"a":"foo"}', 'null', 'null'],
    ['{"a":"foo"}', '"bar"', '"bar"'],
    ['{"e":null}', '{"a":1}', '{"e":null,"a":1}'],
    ['[1,2]', '{"a":"b","c":null}', '{"a":"b"}'],
    ['{}', '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'],
  ])('%s with %s gives %s', (target, patch, result) => {
    expect(mergePatch(JSON.parse(target), JSON.parse(patch))).toEqual(JSON.parse(result))
  })

  test('keeps a null inside a list', () => {
    expect(mergePatch({ a: 1 }, { a: [null, { b: null }] })).toEqual({ a: [null, { b: null }] })
  })

  test('is not misled by names that every object inherits', () => {
    expect(mergePatch({}, { constructor: { name: 'x' }, toString: null })).toEqual({ constructor: { name: 'x' } })
  })

  test('changes neither the target nor the patch', () => {
    const json = fc.json({ maxDepth: 3 }).map((text) => JSON.parse(text) as unknown)
    fc.assert(
      fc.property(json, json, (target, patch) => {
        const [before, given] = [JSON.stringify(target), JSON.stringify(patch)]
        mergePatch(target, patch)
        expect([JSON.stringify(target), JSON.stringify(patch)]).toEqual([before, given])
      }),
    )
  })
})

describe('merging one patch after the other', () => {
  const keys = fc.constantFrom('a', 'b', '1', 'constructor')
  const value = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      fc.constantFrom<unknown>(null, 1, [{ a: null }], {}),
      fc.dictionary(keys, tie('value'), { maxKeys: 3 }),
    ),
  })).value
  const patches = fc.array(fc.dictionary(keys, value, { maxKeys: 3 }), { minLength: 1, maxLength: 6 })
  const inOrder = (states: readonly unknown[]) => states.map((state) => JSON.stringify(state))

  /** As `mergePatch` gives them. */
  const wanted = (all: readonly unknown[]) => {
    let state: unknown = {}
    return inOrder(all.map((patch) => (state = mergePatch(state, patch))))
  }

  test('in place gives the same, and changes nothing that was frozen, nor a patch', () => {
    fc.assert(
      fc.property(patches, fc.infiniteStream(fc.boolean()), (all, isHandedOut) => {
        const expected = wanted(all)
        deepFreeze(all)
        const handedOut: [state: unknown, text: string][] = []
        let state: unknown = deepFreeze({})
        for (const [i, patch] of all.entries()) {
          state = mergeInPlace(state, patch)
          expect(JSON.stringify(state)).toBe(expected[i])
          if (isHandedOut.next().value) handedOut.push([deepFreeze(state), expected[i]!])
        }
        expect(inOrder(handedOut.map(([given]) => given))).toEqual(handedOut.map(([, text]) => text))
      }),
    )
  })

  test('in one go gives the same, and does not change what it began with', () => {
    fc.assert(
      fc.property(patches, fc.nat(5), (all, begun) => {
        const expected = wanted(all)
        const first: unknown = all.slice(0, begun).reduce<unknown>(mergePatch, {})
        const before = JSON.stringify(first)
        const rest = all.slice(begun)
        const last = rest.reduce<unknown>(mergingInPlace(), first)
        expect(JSON.stringify(last)).toBe(rest.length === 0 ? before : expected.at(-1))
        expect(JSON.stringify(first)).toBe(before)
      }),
    )
  })

  test('does not reach what every object inherits', () => {
    for (const merge of [mergePatch, mergeInPlace, mergingInPlace()]) {
      const patch = JSON.parse('{"__proto__":{"reached":true},"constructor":{"reached":true}}')
      merge({}, patch)
      expect({}).not.toHaveProperty('reached')
      expect(Object).not.toHaveProperty('reached')
    }
  })
})

test('the document type knows every event, and folds each by merging', () => {
  const { type, initial, schema, handler } = definitionOf(document)
  expect(document.type).toBe('document')
  expect(type).toBe('document')
  expect(initial).toEqual({})
  for (const event of ['Created', 'Whatever']) {
    expect(schema(event)).toBeDefined()
    expect(handler(event)?.({ a: 1, b: { c: 2 } }, { a: null, b: { d: 3 } }, {})).toEqual({ b: { c: 2, d: 3 } })
  }
})

test('the document type takes no commands and upcasts nothing', () => {
  const { commands, command, decider, upcasts, upcaster, version, snapshotEvery } = definitionOf(document)
  expect({ commands, upcasts, version, snapshotEvery }).toEqual({
    commands: [],
    upcasts: [],
    version: 1,
    snapshotEvery: 1_000,
  })
  expect([command('Any'), decider('Any'), upcaster('Any')]).toEqual([undefined, undefined, undefined])
  const refused = expect.objectContaining({ code: 'KUMA_INVALID_CONFIG' })
  expect(() => document.decide({ Any: () => undefined } as never)).toThrow(refused)
  expect(() => document.upcast({ Any: ({ data }) => ({ type: 'Other', data }) })).toThrow(refused)
})

test('what a document becomes can be tried without a store', () => {
  expect(document.given([{ type: 'Any', data: { a: 1 } }, { type: 'Other' }]).state).toEqual({ a: 1 })
})
