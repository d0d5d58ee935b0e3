/**
 * The cockpit: what is looked at, what the keys do, and what the screen shows for it. It knows no terminal: it is told keys
 * and a size, and gives lines. `onChange` is called when they are others.
 */
import type { ChalkInstance } from 'chalk'
import { EntityView } from './entity-view.ts'
import { headerLines } from './header.ts'
import { HELP } from './help.ts'
import { type ActorRow, type Look, SORTS, type Sort, type Source, TABS, type Tab } from './look.ts'
import { fitting, headLine, painted, rowLine } from './table.ts'
import { arrowOf, headOf, tableOf } from './tabs.ts'
import { fitted } from './text.ts'

/** How far down actors are told of. */
const DEPTH_MAX = 1_000
const HISTORY = 120
const MESSAGE_MS = 5_000
/** One that is stopped, or on a disk that hangs. */
const LATE_MS = 3_000

export interface Size {
  readonly columns: number
  readonly rows: number
}

/** As ink tells of them. */
export interface Pressed {
  readonly upArrow?: boolean
  readonly downArrow?: boolean
  readonly leftArrow?: boolean
  readonly rightArrow?: boolean
  readonly pageUp?: boolean
  readonly pageDown?: boolean
  readonly home?: boolean
  readonly end?: boolean
  readonly return?: boolean
  readonly escape?: boolean
  readonly tab?: boolean
  readonly shift?: boolean
  readonly backspace?: boolean
  readonly delete?: boolean
  readonly ctrl?: boolean
}

export interface CockpitOptions {
  readonly intervalMs: number
  readonly isReadOnly: boolean
  readonly color: ChalkInstance
  readonly sort?: Sort | undefined
  /** Ends it. */
  readonly onQuit: () => void
}

export interface Rates {
  readonly appends: readonly number[]
  readonly reads: readonly number[]
}

/** What waits for a yes. */
interface Question {
  readonly text: string
  run(): Promise<string>
}

export class Cockpit {
  onChange: () => void = () => {}
  private tab: Tab = 'actors'
  private sort: Sort
  private reverse = false
  private filter = ''
  private offset = 0
  private selected = 0
  private isPaused = false
  private isHelping = false
  /** what is typed after `/` */
  private typed: string | null = null
  private question: Question | null = null
  private message: { readonly text: string; readonly until: number } | null = null
  private latest: Look | null = null
  /** There is no daemon, or it does not answer. */
  private trouble: string | null = null
  private usesFiles = false
  private rates: Rates = { appends: [], reads: [] }
  private entity: EntityView | null = null
  private pageSize = 20
  private isLooking = false
  private again = false
  private timer: NodeJS.Timeout | undefined
  private isOver = false

  constructor(
    private readonly source: Source,
    private readonly options: CockpitOptions,
  ) {
    this.sort = options.sort ?? 'rate'
  }

  /** Resolves when it has looked for the first time. */
  async start(): Promise<void> {
    await this.look()
    this.timer = setInterval(() => {
      if (!this.isPaused && !this.usesFiles) void this.look()
    }, this.options.intervalMs)
  }

  stop(): void {
    this.isOver = true
    clearInterval(this.timer)
    this.entity?.close()
  }

  /** One look at a time; what is asked for meanwhile is looked at next. */
  private async look(): Promise<void> {
    if (this.isLooking) {
      this.again = true
      return
    }
    this.isLooking = true
    const { tab, sort, reverse, filter, offset, pageSize } = this
    const limit = Math.min(pageSize, DEPTH_MAX - offset)
    const late = setTimeout(() => {
      this.trouble = 'the daemon does not answer'
      this.onChange()
    }, LATE_MS)
    try {
      const look = await this.source.look({ tab, sort, reverse, filter, offset, limit })
      if (look === null) this.trouble = `no daemon runs for ${this.source.name}`
      else this.took(look)
    } catch (error) {
      this.trouble = (error as Error).message
    }
    clearTimeout(late)
    this.isLooking = false
    if (this.isOver) return
    if (this.again) {
      this.again = false
      await this.look()
    } else this.onChange()
  }

  private took(look: Look): void {
    this.trouble = null
    this.latest = look
    if (look.status === null) return
    this.entity?.resume()
    const { eventsPerSecond, readsPerSecond } = look.status.stats
    const kept = (values: readonly number[], value: number) => [...values.slice(1 - HISTORY), value]
    this.rates = { appends: kept(this.rates.appends, eventsPerSecond), reads: kept(this.rates.reads, readsPerSecond) }
  }

  // keys

  press(input: string, key: Pressed): void {
    if (key.ctrl && input === 'c') this.options.onQuit()
    else if (this.question !== null) this.answer(input)
    else if (this.typed !== null) this.type(input, key)
    else if (this.isHelping) this.isHelping = false
    else if (input === '?') this.isHelping = true
    else if (input === 'q') this.options.onQuit()
    else if (this.entity !== null) this.pressInEntity(input, key)
    else this.pressInTable(input, key)
    this.onChange()
  }

  private answer(input: string): void {
    const { run } = this.question!
    this.question = null
    if (input === 'y' || input === 'Y') void this.tell(run)
    else this.say('not done')
  }

  private async tell(run: () => Promise<string>): Promise<void> {
    this.say(await run().catch((error: Error) => error.message))
    void this.look()
  }

  private say(text: string): void {
    this.message = { text, until: Date.now() + MESSAGE_MS }
    this.onChange()
  }

  private type(input: string, key: Pressed): void {
    if (key.escape) {
      this.typed = null
      this.narrow('')
    } else if (key.return) {
      this.narrow(this.typed!)
      this.typed = null
    } else if (key.backspace || key.delete) this.typed = this.typed!.slice(0, -1)
    else if (!key.ctrl) this.typed += input
  }

  private narrow(filter: string): void {
    this.filter = filter
    this.goTo(0)
    void this.look()
  }

  private pressInTable(input: string, key: Pressed): void {
    if (key.upArrow || input === 'k') this.move(-1)
    else if (key.downArrow || input === 'j') this.move(1)
    else if (key.pageUp) this.move(-this.pageSize)
    else if (key.pageDown) this.move(this.pageSize)
    else if (key.home || input === 'g') this.move(-Infinity)
    else if (key.end || input === 'G') this.move(Infinity)
    else if (key.tab) this.turnTo(TABS[(TABS.indexOf(this.tab) + (key.shift ? TABS.length - 1 : 1)) % TABS.length]!)
    else if (input >= '1' && input <= String(TABS.length)) this.turnTo(TABS[Number(input) - 1]!)
    else if (input === ' ') this.pause()
    else if (input === 'f' && this.trouble !== null) this.openFiles()
    else if (this.tab === 'actors') this.pressInActors(input, key)
    else if (input === 'D') this.askToDrain()
  }

  private pressInActors(input: string, key: Pressed): void {
    const actor = this.actor
    if (input === '/') this.typed = ''
    else if (key.escape) this.narrow('')
    else if (input === '<' || key.leftArrow) this.sortBy(-1)
    else if (input === '>' || key.rightArrow) this.sortBy(1)
    else if (input === 'r') {
      this.reverse = !this.reverse
      void this.look()
    } else if (input === 'D') this.askToDrain()
    else if (actor === null) return
    else if (key.return) this.open(actor.id)
    else this.act(input, actor.id)
  }

  private pressInEntity(input: string, key: Pressed): void {
    const view = this.entity!
    if (key.escape || key.backspace || key.delete) {
      view.close()
      this.entity = null
      void this.look()
    } else if (input === ' ') this.pause()
    else if (!view.press(input, key)) this.act(input, view.id)
  }

  private act(input: string, id: string): void {
    const { source } = this
    if (input === 'p') this.ask(`drop ${id} from memory?`, () => source.passivate(id))
    else if (input === 's') this.ask(`keep the state of ${id} as a snapshot?`, () => source.snapshot(id))
  }

  private askToDrain(): void {
    this.ask('end the daemon, once what it accepted is answered?', () => this.source.drain())
  }

  private ask(text: string, run: () => Promise<string>): void {
    if (this.options.isReadOnly) this.say('this is --read-only')
    else if (this.usesFiles || this.trouble !== null) this.say('that needs a daemon')
    else this.question = { text, run }
  }

  private pause(): void {
    this.isPaused = !this.isPaused
    if (!this.isPaused) void this.look()
  }

  private turnTo(tab: Tab): void {
    this.tab = tab
    this.goTo(0)
    void this.look()
  }

  private sortBy(step: number): void {
    this.sort = SORTS[(SORTS.indexOf(this.sort) + step + SORTS.length) % SORTS.length]!
    void this.look()
  }

  private openFiles(): void {
    this.usesFiles = true
    void this.tell(async () => {
      await this.source.useFiles()
      return 'read from the files, as they were a moment ago'
    })
  }

  private get actor(): ActorRow | null {
    return this.latest?.actors[this.selected - this.offset] ?? null
  }

  private open(id: string): void {
    this.entity = new EntityView(id, this.source, this.options.color, () => this.onChange())
  }

  private move(by: number): void {
    const rows = this.tab === 'actors' ? (this.latest?.matching ?? 0) : this.rows.length
    const last = Math.max(0, Math.min(rows, DEPTH_MAX) - 1)
    const before = this.offset
    this.goTo(Math.max(0, Math.min(last, this.selected + by)))
    if (this.offset !== before && this.tab === 'actors') void this.look()
  }

  private goTo(selected: number): void {
    this.selected = selected
    if (selected < this.offset) this.offset = selected
    else if (selected >= this.offset + this.pageSize) this.offset = selected - this.pageSize + 1
  }

  // lines

  private get rows(): readonly unknown[] {
    return this.latest === null ? [] : tableOf(this.tab, this.latest).rows
  }

  /** One line less than there are rows: a full screen would scroll. */
  lines({ columns, rows }: Size): string[] {
    const room = Math.max(1, rows - 1)
    const { color } = this.options
    if (this.isHelping) return HELP.slice(0, room).map((line) => fitted(line, columns))
    const header = headerLines(this.latest, this.rates, { name: this.source.name, columns, rows, color })
    const footer = this.footer(columns)
    const body = room - header.length - 1
    if (body < 1) return [...header.slice(0, room - 1), footer]
    const content = this.entity === null ? this.tableLines(columns, body) : this.entity.lines({ columns, rows: body })
    const filled = [...content, ...Array<string>(Math.max(0, body - content.length)).fill('')]
    return [...header, ...filled.slice(0, body), footer]
  }

  private tableLines(columns: number, rows: number): string[] {
    const { color } = this.options
    const bar = this.tabBar(columns)
    if (this.latest === null) return [bar, '', ...this.nothing(columns)]
    this.fitPage(rows - 2)
    const { columns: all, rows: data } = tableOf(this.tab, this.latest)
    const shown = fitting(all, columns)
    const sorted = this.tab === 'actors' ? ([headOf(this.sort), arrowOf(this.sort, this.reverse)] as const) : NOT_SORTED
    const head = painted(headLine(shown, columns, sorted), color, 'head')
    // actors come a page at a time, what is short comes whole
    const page = this.tab === 'actors' ? data : data.slice(this.offset, this.offset + this.pageSize)
    const lines = page.slice(0, this.pageSize).map((row, i) => {
      const line = rowLine(shown, columns, row)
      return painted(line, color, i === this.selected - this.offset ? 'selected' : lookOf(row))
    })
    return [bar, head, ...lines]
  }

  /** The page is what there is room for: another size asks for another page. */
  private fitPage(rows: number): void {
    const size = Math.max(1, rows)
    if (size === this.pageSize) return
    const grew = size > this.pageSize
    this.pageSize = size
    this.goTo(this.selected)
    if (grew && !this.usesFiles) void this.look()
  }

  private tabBar(columns: number): string {
    const { color } = this.options
    const names = TABS.map((tab, i) => `${i + 1} ${tab}`)
    const right = this.tab === 'actors' && this.filter !== '' ? `/${this.filter} ` : ''
    const short = columns < 60 ? TABS.map((tab, i) => (tab === this.tab ? names[i]! : String(i + 1))) : names
    const left = short.join('  ')
    const room = Math.max(0, columns - left.length)
    const bar = short.map((name, i) => (TABS[i] === this.tab ? color.bold.underline(name) : color.dim(name))).join('  ')
    return left.length > columns ? fitted(left, columns) : bar + fitted(right, room, 'right')
  }

  private nothing(columns: number): string[] {
    const texts = this.trouble === null ? ['looking ...'] : [this.trouble, '', ...WITHOUT_DAEMON]
    return texts.map((text) => fitted(text, columns))
  }

  private footer(columns: number): string {
    const { color } = this.options
    if (this.question !== null) return color.bold.yellow(fitted(`${this.question.text} y/N`, columns))
    if (this.typed !== null) return fitted(`/${this.typed}_`, columns)
    if (this.message !== null && this.message.until > Date.now())
      return color.yellow(fitted(this.message.text, columns))
    if (this.trouble !== null && this.latest !== null)
      return color.red(fitted(`${this.trouble}: waiting for it`, columns))
    const paused = this.isPaused ? 'PAUSED  ' : ''
    const keys = this.entity === null ? KEYS[this.tab === 'actors' ? 'actors' : 'others'] : KEYS.entity
    return color.dim(fitted(`${paused}${keys}`, columns))
  }
}

const NOT_SORTED = ['', ''] as const
const KEYS = {
  actors: '? help  q quit  enter open  / filter  < > sort  r reverse  space pause  p passivate  s snapshot',
  others: '? help  q quit  tab next  space pause  D drain',
  entity: '? help  esc back  left right back in time  end live  d mark  p passivate  s snapshot',
}
const WITHOUT_DAEMON = [
  'f: look at the files of the store instead',
  'q: quit',
  'or `kuma start` one: this waits for it',
]

function lookOf(row: unknown): 'busy' | 'odd' | 'plain' {
  const { state, isPoisoned, lagEvents } = row as { state?: string; isPoisoned?: boolean; lagEvents?: number | null }
  if (state === 'busy') return 'busy'
  return state === 'draining' || state === 'loading' || state === 'failed' || isPoisoned || (lagEvents ?? 0) > 0
    ? 'odd'
    : 'plain'
}
