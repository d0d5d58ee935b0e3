import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { defineConfig, loadConfig, typeForId } from '../../src/config.ts'
import { defineEntity } from '../../src/entity/define-entity.ts'
import { document } from '../../src/entity/document.ts'
import { folder } from '../folder.ts'
import { Account } from '../models.ts'

describe('ids', () => {
  test.each([
    ['acc_*', 'acc_1', true],
    ['acc_*', 'acc_', true],
    ['acc_*', 'my_acc_1', false],
    ['*', 'anything', true],
    ['acc', 'acc', true],
    ['acc', 'acc_1', false],
    ['*:user:*', 't1:user:7', true],
    ['*:user:*', 't1:group:7', false],
    ['a*a', 'a', false],
    ['a*a', 'aa', true],
    ['a**b', 'a-b', true],
    ['*ab*ab', 'ab', false],
    ['*ab*ab', 'xabab', true],
    ['a.c', 'abc', false],
    ['(a+)+$*', `${'a'.repeat(100)}b`, false],
  ])('%j for %j: %j', (glob, id, matches) => {
    expect(typeForId({ ids: { [glob]: Account } }, id)).toBe(matches ? 'account' : undefined)
  })

  test('the first match wins', () => {
    expect(typeForId({ ids: { 'doc_*': document, '*': Account } }, 'doc_1')).toBe('document')
  })
})

test.each([
  ['no object', null],
  ['a list', []],
  ['an empty path', { path: '' }],
  ['too many shards', { shards: 1_000 }],
  ['half a shard', { shards: 1.5 }],
  ['a timeout that is none', { lockTimeoutMs: -1 }],
  ['entities that are no list', { entities: Account }],
  ['an entity that is no definition', { entities: [{ type: 'account' }] }],
  ['ids without a definition', { ids: { 'a*': 'account' } }],
  ['no place for slow calls', { daemon: { slowCallsMax: 0 } }],
  ['none for those of all', { daemon: { slowCallsOfAllMax: 0 } }],
])('%s is refused', (_, config) => {
  expect(() => defineConfig(config as never)).toThrow(expect.objectContaining({ code: 'KUMA_INVALID_CONFIG' }))
})

test('two definitions of one type are refused, one given twice is not', () => {
  const other = defineEntity({ type: 'account', initial: {}, events: {} }).evolve({})
  expect(() => defineConfig({ entities: [Account, other] })).toThrow('"account"')
  expect(() => defineConfig({ entities: [Account], ids: { 'acc_*': Account } })).not.toThrow()
})

test('bounds of queries are numbers that make sense, and a name that is none of them is told with those that are', () => {
  const told = (readModels: object) => {
    try {
      defineConfig({ readModels })
    } catch (error) {
      return (error as Error).message
    }
    return null
  }
  expect(told({ queriesMax: 1, queryMemoryBytesMax: 2 ** 27, queryTimeoutMs: 1 })).toBeNull()
  expect(told({ queriesMax: 0 })).toContain('readModels.queriesMax must be 1 to 64')
  expect(told({ queryMemoryBytesMax: 1_000_000 })).toContain('readModels.queryMemoryBytesMax must be 134,217,728 to')
  expect(told({ queryTimeoutMs: Number.POSITIVE_INFINITY })).toContain('readModels.queryTimeoutMs must be 1 to')
  expect(told({ queryTimeout: 1 })).toContain(
    'it knows events, rqliteUrl, queriesMax, queryMemoryBytesMax, queryTimeoutMs',
  )
})

describe('the file', () => {
  test('is found upwards, and its path is relative to it', async () => {
    const root = folder()
    const deep = join(root, 'a/b')
    mkdirSync(deep, { recursive: true })
    writeFileSync(join(root, 'kuma.config.mjs'), `export default { path: 'data', shards: 4 }`)
    expect(await loadConfig({ cwd: deep })).toMatchObject({
      config: { path: join(root, 'data'), shards: 4 },
      file: join(root, 'kuma.config.mjs'),
    })
  })

  test('need not be there, unless it is named', async () => {
    const cwd = folder()
    expect(await loadConfig({ cwd })).toMatchObject({ config: {}, file: null })
    await expect(loadConfig({ cwd, file: 'nothing.ts' })).rejects.toMatchObject({ code: 'KUMA_INVALID_CONFIG' })
  })
})
