/** A queue in which askers take turns: who asks for much waits behind who asks for little. */
export class Turns<T> {
  /** Of each asker who waits, what it asks for; first the one whose turn is next. */
  private readonly lines = new Map<unknown, T[]>()
  size = 0

  constructor(private readonly sizeMax: number) {}

  /** @returns what there is no room for: the last of the longest line, which may be this one */
  push(asker: unknown, item: T): T | null {
    const line = this.lines.get(asker)
    if (line === undefined) this.lines.set(asker, [item])
    else line.push(item)
    if (++this.size <= this.sizeMax) return null
    let longest = asker
    for (const [other, { length }] of this.lines) if (length > this.lines.get(longest)!.length) longest = other
    const last = this.lines.get(longest)!.at(-1)!
    this.remove(longest, last)
    return last
  }

  shift(): T | undefined {
    for (const [asker, line] of this.lines) {
      const item = line[0]!
      this.lines.delete(asker)
      this.lines.set(asker, line)
      this.remove(asker, item)
      return item
    }
    return undefined
  }

  remove(asker: unknown, item: T): void {
    const line = this.lines.get(asker)
    const at = line?.indexOf(item) ?? -1
    if (at === -1) return
    line!.splice(at, 1)
    if (line!.length === 0) this.lines.delete(asker)
    this.size--
  }
}
