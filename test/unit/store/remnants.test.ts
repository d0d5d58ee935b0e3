import { openSync, readFileSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type Database, loadDriver } from '../../../src/store/driver.ts'
import { findRemnants } from '../../../src/store/remnants.ts'
import { folder } from '../../folder.ts'

/** A file with rows of all sizes in the tables that are looked at: some take several pages. */
function file(secureDelete: 'on' | 'off') {
  const path = join(folder(), 'x.db')
  const db = new (loadDriver())(path)
  db.pragma(`secure_delete = ${secureDelete}`)
  db.exec(`CREATE TABLE other (x TEXT); CREATE TABLE events (seq INTEGER PRIMARY KEY, data TEXT, n INTEGER);
           CREATE TABLE entities (key INTEGER PRIMARY KEY, id TEXT); CREATE INDEX by_id ON entities (id)`)
  db.exec('BEGIN')
  const insert = db.prepare('INSERT INTO events (data, n) VALUES (?, ?)')
  for (let i = 0; i < 3_000; i++) insert.run('r'.repeat(i % 100 === 7 ? 500 * i : i % 300), i)
  for (let i = 0; i < 300; i++) db.prepare('INSERT INTO entities (id) VALUES (?)').run(`id_${i}`)
  db.exec('COMMIT')
  return { path, db }
}

function empty(db: Database): void {
  db.exec("UPDATE events SET data = '', n = 0 WHERE seq % 3 = 1")
}

test('rows that are shrunk in place leave nothing, in leaves, on overflow pages, or on free pages', () => {
  const { path, db } = file('on')
  expect(findRemnants(path).dirty).toEqual([])
  empty(db)
  const { dirty, pages } = findRemnants(path)
  expect(dirty).toEqual([])
  expect(pages).toBeGreaterThan(db.pragma('freelist_count', { simple: true }) as number)
  expect(db.pragma('freelist_count', { simple: true })).toBeGreaterThan(100)
  db.close()
})

test('rows that are shrunk without being overwritten are found', () => {
  const { path, db } = file('off')
  db.prepare("UPDATE events SET data = '' WHERE seq = 200").run()
  expect(findRemnants(path).dirty).toHaveLength(1)
  db.close()
})

test('a free page that is not empty is found', () => {
  const { path, db } = file('off')
  db.prepare("UPDATE events SET data = '' WHERE seq = 2908").run()
  expect(findRemnants(path).dirty.length).toBeGreaterThan(300)
  db.close()
})

test('one byte is found, wherever nothing should stand', () => {
  const { path, db } = file('on')
  empty(db)
  db.close()
  const bytes = readFileSync(path)
  const pageSize = bytes.readUInt16BE(16)
  const fd = openSync(path, 'r+')
  let found = 0
  for (let number = 2; number <= statSync(path).size / pageSize; number++) {
    const start = (number - 1) * pageSize
    if (bytes[start] !== 0x0d) continue
    // the middle of the gap between the places of the cells and the cells
    const gap = 8 + 2 * bytes.readUInt16BE(start + 3)
    const content = bytes.readUInt16BE(start + 5)
    if (content - gap < 3) continue
    const place = start + Math.floor((gap + content) / 2)
    writeSync(fd, Buffer.from([1]), 0, 1, place)
    if (!findRemnants(path).dirty.includes(number)) continue
    found++
    writeSync(fd, Buffer.from([0]), 0, 1, place)
    if (found === 20) break
  }
  expect(found).toBe(20)
})
