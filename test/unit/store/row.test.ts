import { describe, expect, test } from 'vitest'
import { encodeRow, rowCrc } from '../../../src/store/row.ts'

const row = {
  seq: 1284,
  entity: 7,
  version: 3,
  prev: 1200,
  at: 1_793_500_000_000,
  type: 'Renamed',
  data: '{"name":"Žofie"}',
  meta: null,
}

describe('the encoding of a row', () => {
  // on every disk there are crcs and seals made from it: these bytes may never change within format 1
  test('is fixed for ever', () => {
    expect(encodeRow(row).toString('hex')).toBe(
      '0405000000000000' + // seq
        '0700000000000000' + // entity
        '0300000000000000' + // version
        'b004000000000000' + // prev
        '002fee94a1010000' + // at
        '07000000' + // bytes of type
        '11000000' + // bytes of data, in UTF-8
        'ffffffff' + // no meta
        '52656e616d6564' +
        '7b226e616d65223a22c5bd6f666965227d',
    )
    expect(rowCrc(row)).toBe(574831030)
  })

  test('tells an absent meta from an empty one, and where each text ends', () => {
    const crcs = [
      row,
      { ...row, meta: '' },
      { ...row, type: 'Renamed{', data: row.data.slice(1) },
      { ...row, version: 4 },
      { ...row, at: -1 },
      { ...row, seq: row.seq + 2 ** 32 },
    ].map(rowCrc)
    expect(new Set(crcs).size).toBe(crcs.length)
  })

  test('takes times before 1970', () => {
    expect(
      encodeRow({ ...row, at: -1 })
        .subarray(32, 40)
        .toString('hex'),
    ).toBe('ffffffffffffffff')
    expect(encodeRow({ ...row, at: -(2 ** 40) }).readBigInt64LE(32)).toBe(-(2n ** 40n))
  })
})
