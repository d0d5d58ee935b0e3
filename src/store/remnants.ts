/**
 * The proof that an erasure left nothing: a walk through a shard's file, byte by byte, for anything that stands where
 * SQLite holds nothing. (To search for what was erased cannot work: a common value stands in other people's rows too,
 * and an erasure that goes on after a crash does not know the bytes any more.) Looked at are the tables that hold what
 * people gave: every leaf page of theirs, the ends of overflow pages, and the pages that are free.
 *
 *     page     header of 8 bytes (12 where it has children), places of cells, a gap, cells and freeblocks
 *     cell     varint payload size, varint rowid, payload, page number of the overflow if it does not fit
 *
 * See https://www.sqlite.org/fileformat2.html. To be run in a process of its own (`remnants-process.ts`): closing a file
 * drops the locks that SQLite holds on it elsewhere in the same process.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'

export interface Remnants {
  readonly file: string
  /** pages looked at */
  readonly pages: number
  /** numbers of pages in which something stands where nothing should */
  readonly dirty: readonly number[]
}

const TABLES = ['events', 'entities', 'snapshots', 'request_keys']
const LEAF = 0x0d
const INTERIOR = 0x05
/** The file is written to meanwhile, and a page may be read half old, half new: a bad one is read again. */
const TRIES = 5

export function findRemnants(file: string): Remnants {
  const fd = openSync(file, 'r')
  try {
    return new Walk(file, fd).run()
  } finally {
    closeSync(fd)
  }
}

class Walk {
  private readonly pageSize: number
  private readonly usable: number
  private readonly pagesMax: number
  private readonly dirty = new Set<number>()
  private readonly seen = new Set<number>()

  constructor(
    private readonly file: string,
    private readonly fd: number,
  ) {
    const header = Buffer.alloc(100)
    readSync(fd, header, 0, 100, 0)
    const size = header.readUInt16BE(16)
    this.pageSize = size === 1 ? 65_536 : size
    this.usable = this.pageSize - header[20]!
    this.pagesMax = fstatSync(fd).size / this.pageSize
  }

  run(): Remnants {
    for (const root of this.roots()) this.tree(root)
    this.freelist()
    return { file: this.file, pages: this.seen.size, dirty: [...this.dirty].sort((a, b) => a - b) }
  }

  /** Root pages of the tables, from sqlite_schema, whose own tree begins on page 1. */
  private roots(): number[] {
    const roots: number[] = []
    const visit = (number: number) => {
      const page = this.read(number)
      const start = number === 1 ? 100 : 0
      if (page[start] === INTERIOR) for (const child of this.children(page, start)) visit(child)
      else {
        for (const cell of cellsOf(page, start)) {
          const [, sizeBytes] = varint(page, cell)
          const [, rowidBytes] = varint(page, cell + sizeBytes)
          const [type, name, , root] = record(page, cell + sizeBytes + rowidBytes)
          if (type === 'table' && TABLES.includes(name as string)) roots.push(root as number)
        }
      }
    }
    visit(1)
    return roots
  }

  private tree(root: number): void {
    const waiting = [root]
    for (let number = waiting.pop(); number !== undefined; number = waiting.pop()) {
      if (number < 1 || number > this.pagesMax || this.seen.has(number)) continue
      this.seen.add(number)
      const page = this.read(number)
      if (page[0] === INTERIOR) waiting.push(...this.children(page, 0))
      else this.check(number, page, (bytes) => bytes[0] === LEAF && this.isCleanLeaf(bytes))
    }
  }

  private children(page: Buffer, start: number): number[] {
    const cells = cellsOf(page, start, 12).map((cell) => page.readUInt32BE(cell))
    return [...cells, page.readUInt32BE(start + 8)]
  }

  private check(number: number, first: Buffer, isClean: (page: Buffer) => boolean): void {
    let page = first
    for (let tries = 1; !isClean(page); tries++) {
      if (tries === TRIES) {
        this.dirty.add(number)
        return
      }
      page = this.read(number)
    }
  }

  /** Marks what cells take, and asks whether the rest is zero but for the links of the freeblocks. */
  private isCleanLeaf(page: Buffer): boolean {
    const taken = new Uint8Array(this.usable)
    const cells = cellsOf(page, 0)
    taken.fill(1, 0, 8 + 2 * cells.length)
    for (const cell of cells) {
      const [size, sizeBytes] = varint(page, cell)
      const [, rowidBytes] = varint(page, cell + sizeBytes)
      const local = this.localBytes(size)
      const end = cell + sizeBytes + rowidBytes + local
      taken.fill(1, cell, local < size ? end + 4 : Math.max(end, cell + 4))
      if (local < size) this.overflow(page.readUInt32BE(end), size - local)
    }
    for (let block = page.readUInt16BE(1); block > 0; block = page.readUInt16BE(block)) {
      if (block + 4 > this.usable || taken[block] === 1) return false
      taken.fill(1, block, block + 4)
    }
    for (let i = 0; i < this.usable; i++) if (taken[i] === 0 && page[i] !== 0) return false
    return true
  }

  /** Bytes of a payload that stand in the leaf itself. */
  private localBytes(size: number): number {
    const max = this.usable - 35
    if (size <= max) return size
    const min = Math.floor(((this.usable - 12) * 32) / 255) - 23
    const fitting = min + ((size - min) % (this.usable - 4))
    return fitting <= max ? fitting : min
  }

  private overflow(first: number, bytes: number): void {
    const room = this.usable - 4
    for (let number = first, left = bytes; left > 0 && number > 0 && number <= this.pagesMax; left -= room) {
      if (this.seen.has(number)) return
      this.seen.add(number)
      const page = this.read(number)
      const used = 4 + Math.min(left, room)
      this.check(number, page, (content) => isZero(content, used))
      number = page.readUInt32BE(0)
    }
  }

  /** Free pages: a trunk lists others, and those are zero. */
  private freelist(): void {
    for (let trunk = this.read(1).readUInt32BE(32); trunk > 0 && trunk <= this.pagesMax; ) {
      if (this.seen.has(trunk)) return
      this.seen.add(trunk)
      const page = this.read(trunk)
      const count = Math.min(page.readUInt32BE(4), this.usable / 4 - 2)
      for (let i = 0; i < count; i++) {
        const leaf = page.readUInt32BE(8 + 4 * i)
        if (leaf < 1 || leaf > this.pagesMax || this.seen.has(leaf)) continue
        this.seen.add(leaf)
        this.check(leaf, this.read(leaf), (content) => isZero(content, 0))
      }
      trunk = page.readUInt32BE(0)
    }
  }

  private read(number: number): Buffer {
    const page = Buffer.alloc(this.pageSize)
    readSync(this.fd, page, 0, this.pageSize, (number - 1) * this.pageSize)
    return page
  }
}

function isZero(page: Buffer, from: number): boolean {
  for (let i = from; i < page.length; i++) if (page[i] !== 0) return false
  return true
}

function cellsOf(page: Buffer, start: number, headerBytes = 8): number[] {
  const count = page.readUInt16BE(start + 3)
  const room = Math.min(count, (page.length - start - headerBytes) >> 1)
  const cells = Array.from({ length: room }, (_, i) => page.readUInt16BE(start + headerBytes + 2 * i))
  return cells.filter((cell) => cell >= start + headerBytes && cell + 4 <= page.length)
}

/** A number of up to nine bytes, seven bits each (the ninth has eight), and how many bytes it took. */
function varint(page: Buffer, at: number): [value: number, bytes: number] {
  let value = 0
  for (let i = 0; i < 8; i++) {
    const byte = page[at + i] ?? 0
    value = value * 128 + (byte & 0x7f)
    if (byte < 0x80) return [value, i + 1]
  }
  return [value * 256 + (page[at + 8] ?? 0), 9]
}

/** The first four columns of a row of sqlite_schema: texts and small numbers. */
function record(page: Buffer, at: number): (string | number | null)[] {
  const [headerBytes, sizeBytes] = varint(page, at)
  const values: (string | number | null)[] = []
  let type = at + sizeBytes
  let place = at + headerBytes
  while (type < at + headerBytes && values.length < 4) {
    const [code, bytes] = varint(page, type)
    type += bytes
    const length = code >= 12 ? (code - (code % 2 === 0 ? 12 : 13)) / 2 : [0, 1, 2, 3, 4, 6, 8, 8, 0, 0][code]!
    if (code >= 12) values.push(page.toString('utf8', place, place + length))
    else values.push(code === 8 ? 0 : code === 9 ? 1 : length === 0 ? null : page.readIntBE(place, Math.min(length, 6)))
    place += length
  }
  return values
}
