import { expect, test } from 'vitest'
import { pointerOf } from '../../../src/cli/pointer.ts'

test.each([
  ['', ''],
  ['/', '/'],
  ['/address/city', '/address/city'],
  ['/a~1b/0', '/a~1b/0'],
  ['plan', '/plan'],
  ['address.city', '/address/city'],
  ['lines[0].sku', '/lines/0/sku'],
  ['lines.0', '/lines/0'],
  ['[3]', '/3'],
  ['a/b~c', '/a~1b~0c'],
])('%j is %j', (path, pointer) => {
  expect(pointerOf(path)).toBe(pointer)
})
