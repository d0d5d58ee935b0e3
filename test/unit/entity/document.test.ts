import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { definitionOf } from '../../../src/entity/define-entity.ts'
import { document, mergePatch } from '../../../src/entity/document.ts'

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
