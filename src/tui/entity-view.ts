/** One entity: its state and its last events, live or back in time, and what differs between two of its versions. */
import type { ChalkInstance } from 'chalk'
import type { Pressed, Size } from './cockpit.ts'
import type { ActorRow, ChangeRow, EntityLook, EventRow, Source } from './look.ts'
import { fitted, rate, whole } from './text.ts'

const EVENTS = 100
const PAGE = 10
/** From so many columns on, events stand beside the state. */
const WIDE = 100
/** With fewer rows a state is one line. */
const TALL = 4

export class EntityView {
  private shown: EntityLook | null = null
  /** null: as it is now, and as it changes */
  private version: number | null = null
  private last = 0
  private marks: readonly number[] = []
  private changes: readonly ChangeRow[] | null = null
  private trouble: string | null = null
  private isFollowed = false
  private isLoading = false
  private again = false
  private readonly stop = new AbortController()

  constructor(
    readonly id: string,
    private readonly source: Source,
    private readonly color: ChalkInstance,
    private readonly onChange: () => void,
  ) {
    void this.load()
    this.follow()
  }

  /** Goes on after the daemon was away. */
  resume(): void {
    if (this.isFollowed || this.stop.signal.aborted) return
    void this.load()
    this.follow()
  }

  private follow(): void {
    this.isFollowed = true
    this.source
      .follow(this.id, this.stop.signal, () => void this.load())
      .catch((error: Error) => {
        if (!this.stop.signal.aborted) this.failed(error)
      })
      .finally(() => {
        this.isFollowed = false
      })
  }

  close(): void {
    this.stop.abort()
  }

  /** True if that key is one of its own. */
  press(input: string, key: Pressed): boolean {
    if (key.leftArrow) this.step(-1)
    else if (key.rightArrow) this.step(1)
    else if (key.pageUp) this.step(-PAGE)
    else if (key.pageDown) this.step(PAGE)
    else if (key.home || input === 'g') this.goTo(1)
    else if (key.end || input === 'G') this.goTo(null)
    else if (input === 'd') this.mark()
    else return false
    return true
  }

  private step(by: number): void {
    const version = Math.max(1, (this.version ?? this.last) + by)
    this.goTo(version >= this.last ? null : version)
  }

  private goTo(version: number | null): void {
    this.version = version
    void this.load()
  }

  /** The first, the second, none. */
  private mark(): void {
    const at = this.version ?? this.shown?.version
    if (at === undefined) return
    this.marks = this.marks.length === 2 ? [] : [...this.marks, at].toSorted((a, b) => a - b)
    this.changes = null
    const [from, to] = this.marks
    if (to === undefined) return
    this.source.diff(this.id, from!, to).then(
      (changes) => {
        this.changes = changes
        this.onChange()
      },
      (error: Error) => this.failed(error),
    )
  }

  /** One at a time; what is asked for meanwhile is loaded next. */
  private async load(): Promise<void> {
    if (this.isLoading) {
      this.again = true
      return
    }
    this.isLoading = true
    do {
      this.again = false
      try {
        this.shown = await this.source.entity(this.id, this.version, EVENTS)
        this.last = Math.max(this.last, this.shown.version)
        this.trouble = null
      } catch (error) {
        this.trouble = (error as Error).message
      }
    } while (this.again && !this.stop.signal.aborted)
    this.isLoading = false
    this.onChange()
  }

  private failed({ message }: Error): void {
    this.trouble = message
    this.onChange()
  }

  lines({ columns, rows }: Size): string[] {
    const { shown, color } = this
    if (shown === null) return [fitted(`${this.id}  ${this.trouble ?? 'loading ...'}`, columns)]
    const now = this.isFollowed ? 'live' : 'now'
    const when = this.version === null ? now : `of ${this.last}`
    const marks = this.marks.length === 0 ? '' : `  marked ${this.marks.map((mark) => `v${mark}`).join(' and ')}`
    const actor = this.version === null ? actorText(shown.actor) : ''
    const title = `${shown.id}  ${shown.type}  v${shown.version} ${when}${marks}  ${iso(shown.at)}${actor}`
    const trouble = this.trouble === null ? [] : [color.red(fitted(this.trouble, columns))]
    const heads = [color.bold(fitted(title, columns)), ...trouble]
    const room = rows - heads.length
    if (this.marks.length === 2) return [...heads, ...this.changeLines(columns, room)]
    if (columns >= WIDE) return [...heads, ...this.sideBySide(columns, room)]
    const state = Math.ceil(room / 2)
    return [...heads, ...this.stateLines(columns, state), ...this.eventLines(columns, room - state)]
  }

  private sideBySide(columns: number, rows: number): string[] {
    const left = Math.floor(columns / 2) - 1
    const [states, events] = [this.stateLines(left, rows), this.eventLines(columns - left - 2, rows)]
    return Array.from({ length: rows }, (_, i) => `${states[i] ?? ' '.repeat(left)}  ${events[i] ?? ''}`)
  }

  private stateLines(columns: number, rows: number): string[] {
    const room = Math.max(0, rows - 1)
    const { state } = this.shown!
    const lines = (room < TALL ? JSON.stringify(state) : JSON.stringify(state, null, 2)).split('\n')
    const shown =
      lines.length <= room ? lines : [...lines.slice(0, room - 1), `... ${lines.length - room + 1} lines more`]
    const all = [this.color.cyan(fitted('STATE', columns)), ...shown.map((line) => fitted(line, columns))]
    return [...all, ...Array<string>(Math.max(0, rows - all.length)).fill(' '.repeat(columns))]
  }

  private eventLines(columns: number, rows: number): string[] {
    const lines = this.shown!.events.slice(0, Math.max(0, rows - 1)).map((event) => fitted(eventText(event), columns))
    return [this.color.cyan(fitted('EVENTS, the newest first', columns)), ...lines]
  }

  private changeLines(columns: number, rows: number): string[] {
    const [from, to] = this.marks
    const head = this.color.cyan(fitted(`FROM v${from} TO v${to}`, columns))
    if (this.changes === null) return [head, fitted('comparing ...', columns)]
    if (this.changes.length === 0) return [head, fitted('nothing differs', columns)]
    const lines = this.changes.slice(0, rows - 1).map(({ op, path, text }) => {
      const line = fitted(`${SIGNS[op]} ${path}  ${text}`, columns)
      return op === 'add' ? this.color.green(line) : op === 'remove' ? this.color.red(line) : this.color.yellow(line)
    })
    return [head, ...lines]
  }
}

const SIGNS = { add: '+', remove: '-', replace: '~' }

function actorText(actor: ActorRow | null): string {
  if (actor === null) return ''
  return `  ${actor.state}, mailbox ${whole(actor.mailbox)}, ${rate(actor.eventsPerSecond)} ev/s`
}

function eventText({ version, at, type, data, by }: EventRow): string {
  const time = iso(at).slice(0, 19).replace('T', ' ')
  return `v${version}  ${time}  ${type}${by === null ? '' : ` by ${by}`}  ${JSON.stringify(data)}`
}

function iso(at: number): string {
  return new Date(at).toISOString()
}
