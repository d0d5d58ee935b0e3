/** Whose kuma.config.ts is loaded: of real users, one of whom has left code for another. */
import { spawn, spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, expect, onTestFinished, test } from 'vitest'
import { loadConfig } from '../../src/config.ts'
import { BINARY, ended, environment, kuma } from '../cli.ts'
import { folder } from '../folder.ts'
import { launchProgram } from '../program.ts'

const ROOT = 0
const NOBODY = 65_534
/** Somebody whom the system does not know. */
const OTHER = 54_321

/** A file or folder: whose it is. */
interface Owned {
  readonly uid: number
  readonly gid?: number
  readonly mode?: number
}
const own = { uid: NOBODY }
const root = { uid: ROOT }
const other = { uid: OTHER }

/** A world that others can look into; what runs in it leaves a file in `ran`. */
function world() {
  const top = folder()
  chmodSync(top, 0o755)
  const ran = join(top, 'ran')
  mkdirSync(ran)
  chmodSync(ran, 0o777)
  let last = 0
  const code = () =>
    `import { writeFileSync } from 'node:fs'\nwriteFileSync(${JSON.stringify(join(ran, String(++last)))}, '')\nexport default {}\n`
  return {
    top,
    code,
    hasRun: () => readdirSync(ran).length > 0,
    forget: () => readdirSync(ran).map((name) => rmSync(join(ran, name))),
  }
}

function give(path: string, { uid, gid = uid, mode }: Owned): void {
  chownSync(path, uid, gid)
  if (mode !== undefined) chmodSync(path, mode)
}

/** Folders, each in the one before it. */
function nested(top: string, ...folders: Owned[]): string[] {
  let path = top
  const paths = folders.map(() => (path = join(path, 'f')))
  for (const each of paths) mkdirSync(each, { mode: 0o755 })
  for (const [i, each] of paths.entries()) give(each, folders[i]!)
  return paths
}

const isRoot = process.getuid?.() === ROOT
const asNobody = { uid: NOBODY, gid: NOBODY }
const canBecome = isRoot && spawnSync(process.execPath, [BINARY, '--version'], asNobody).status === 0
const asOthers = test.skipIf(!canBecome)
const skipped = (why: string, holds: boolean) => (holds ? '' : ` (skipped: ${why})`)
const unreadable = skipped('others cannot read this clone', canBecome)

describe.skipIf(!isRoot)(`of other users${skipped('only root can become somebody else', isRoot)}`, () => {
  type Outcome = 'loaded' | 'refused' | 'none'
  /** Folders from the top down to where it is run, and the config in one of them. */
  const CASES: readonly (readonly [string, Outcome, readonly Owned[], at: number, config: Owned])[] = [
    ['own, in an own folder', 'loaded', [own], 0, own],
    ['own, above, in an own folder', 'loaded', [own, own], 0, own],
    ["root's, above, in a folder of root's", 'loaded', [root, own], 0, root],
    ["somebody else's, above, in a folder of his", 'refused', [other, own], 0, other],
    ["somebody else's, here, in a folder of his", 'refused', [other], 0, other],
    ["somebody else's, in an own folder", 'refused', [own], 0, other],
    ["own, in a folder of somebody else's", 'refused', [other, own], 0, own],
    ["root's, in a folder of somebody else's", 'refused', [other, own], 0, root],
    ['in a folder that anybody can write to', 'refused', [{ ...own, mode: 0o777 }], 0, own],
    ['that anybody can write to', 'refused', [own], 0, { ...own, mode: 0o646 }],
    ['that the own group can write to', 'loaded', [{ ...own, mode: 0o775 }], 0, { ...own, mode: 0o664 }],
    ['that another group can write to', 'refused', [own], 0, { uid: NOBODY, gid: OTHER, mode: 0o664 }],
    ["root's, that another group can write to", 'refused', [root], 0, { uid: ROOT, gid: NOBODY, mode: 0o664 }],
    ['in a folder that another group can write to', 'refused', [{ uid: NOBODY, gid: OTHER, mode: 0o775 }], 0, own],
    ["own, above a folder of somebody else's", 'none', [own, other, own], 0, own],
    ['own, above a folder that anybody can write to', 'none', [own, { ...own, mode: 0o777 }], 0, own],
    ["own, above a folder for everybody's files", 'loaded', [own, { ...root, mode: 0o1777 }, own], 0, own],
    ["own, above such a folder, in which somebody else's is", 'none', [own, { ...root, mode: 0o1777 }, other], 0, own],
    ["own, in a folder for everybody's files", 'refused', [{ ...root, mode: 0o1777 }, own], 0, own],
    ["somebody else's, in a folder for everybody's files", 'none', [{ ...root, mode: 0o1777 }, own], 0, other],
    ["somebody else's, here, in a folder for everybody's files", 'refused', [{ ...root, mode: 0o1777 }], 0, other],
  ]

  /** As nobody, in each of the folders. */
  async function loadedAsNobody(folders: readonly string[]) {
    const stdout = await text(launchProgram('load-configs-as.ts', String(NOBODY), ...folders).stdout!)
    return stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { file?: string | null; message?: string; hint?: string; code?: string })
  }

  asOthers(`is loaded only where nobody else could have put it${unreadable}`, async () => {
    const { top, code } = world()
    const made = CASES.map(([, , folders, at, config], i) => {
      const place = join(top, String(i))
      mkdirSync(place)
      const paths = nested(place, ...folders)
      const file = join(paths[at]!, 'kuma.config.mjs')
      writeFileSync(file, code(), { mode: 0o644 })
      give(file, config)
      return { cwd: paths.at(-1)!, file, mark: join(top, 'ran', String(i + 1)) }
    })
    const found = await loadedAsNobody(made.map(({ cwd }) => cwd))
    const outcomes = found.map(({ file, message = '', hint = '', code: errorCode }, i) => {
      const { file: given, mark } = made[i]!
      if (file === given && existsSync(mark)) return 'loaded'
      if (existsSync(mark)) return 'run all the same'
      if (file === null) return 'none'
      return errorCode === 'KUMA_INVALID_CONFIG' && message.includes(given) && hint.includes('--config FILE')
        ? 'refused'
        : message
    })
    const told = (all: readonly string[]) => Object.fromEntries(CASES.map(([name], i) => [name, all[i]]))
    expect(told(outcomes)).toEqual(told(CASES.map(([, outcome]) => outcome)))
  })

  asOthers(`a link is as good as what it leads to${unreadable}`, async () => {
    const { top, code } = world()
    const [mine] = nested(top, own) as [string]
    const others = join(top, 'others')
    mkdirSync(others)
    give(others, other)
    const targets = [join(mine, 'own.mjs'), join(mine, 'of-other.mjs'), join(others, 'own.mjs')]
    const owners = [own, other, own]
    const folders = targets.map((target, i) => {
      writeFileSync(target, code())
      give(target, owners[i]!)
      const cwd = join(mine, `cwd${i}`)
      mkdirSync(cwd)
      give(cwd, own)
      symlinkSync(target, join(cwd, 'kuma.config.mjs'))
      lchownSync(join(cwd, 'kuma.config.mjs'), NOBODY, NOBODY)
      return cwd
    })
    const found = await loadedAsNobody(folders)
    expect(found).toMatchObject([
      { file: join(folders[0]!, 'kuma.config.mjs') },
      { code: 'KUMA_INVALID_CONFIG', message: expect.stringContaining(targets[1]!) },
      { code: 'KUMA_INVALID_CONFIG', message: expect.stringContaining(`the folder ${others} belongs`) },
    ])
    expect(readdirSync(join(top, 'ran'))).toEqual(['1'])
  })

  test("root loads root's only, with --dir and in a daemon too, and any that is named", async () => {
    const { top, code, hasRun, forget } = world()
    const [his, cwd] = nested(top, own, root) as [string, string]
    const file = join(his, 'kuma.config.mjs')
    writeFileSync(file, code())
    give(file, own)
    const store = join(top, 'store')
    expect(await kuma(['init', '--dir', store], { cwd: top })).toMatchObject({ code: 0 })
    for (const args of [['ls'], ['ls', '--dir', store], ['start', '--dir', store], ['init', join(top, 'new')]]) {
      const { code: exit, stderr, stdout } = await kuma(args, { cwd })
      expect({ exit, stdout }).toEqual({ exit: 1, stdout: '' })
      expect(stderr).toContain(`${file} is not loaded: the folder ${his} belongs to another user (uid ${NOBODY})`)
      expect(stderr).toContain('--config FILE')
    }
    expect(await kuma(['complete', '--', 'read us'], { cwd })).toMatchObject({ code: 0 })
    expect(hasRun()).toBe(false)
    for (const named of [{ args: ['--config', file] }, { args: [], env: { KUMA_CONFIG: file } }]) {
      expect(await kuma(['ls', '--dir', store, ...named.args], { cwd, ...named })).toMatchObject({ code: 0 })
      expect(forget()).toHaveLength(1)
    }
  })

  test('one that would not be loaded does not make a daemon say that its config has changed', async () => {
    const { top, code } = world()
    const [above, cwd] = nested(top, root, root) as [string, string]
    const { isStale } = await loadConfig({ cwd })
    const file = join(above, 'kuma.config.mjs')
    writeFileSync(file, code())
    give(file, other)
    expect(isStale()).toBe(false)
    give(file, root)
    expect(isStale()).toBe(true)
  })

  test('what is compiled is not kept in, nor taken from, the home of another user', async () => {
    const { top, code } = world()
    const [home] = nested(top, own) as [string]
    const cwd = join(top, 'cwd')
    mkdirSync(cwd)
    writeFileSync(join(cwd, 'kuma.config.ts'), code())
    const kept = async (HOME: string) => {
      expect(await kuma(['ls'], { cwd, env: { HOME, XDG_CACHE_HOME: '' } })).toMatchObject({ code: 3 })
      return existsSync(join(HOME, '.cache/kuma'))
    }
    expect(await kept(home)).toBe(false)
    expect(await kept(top)).toBe(true)
    expect(statSync(join(top, '.cache/kuma')).mode & 0o777).toBe(0o700)
  })

  asOthers(`somebody whom the system does not know has a group of his own too${unreadable}`, async () => {
    const { top, code } = world()
    const [cwd] = nested(top, { uid: OTHER, mode: 0o775 }) as [string]
    writeFileSync(join(cwd, 'kuma.config.mjs'), code())
    give(join(cwd, 'kuma.config.mjs'), { uid: OTHER, mode: 0o664 })
    for (const env of [{ HOME: cwd }, { HOME: undefined }]) {
      const child = spawn(process.execPath, [BINARY, 'init'], {
        cwd,
        uid: OTHER,
        gid: OTHER,
        env: { ...environment(), SHELL: undefined, ...env },
        stdio: 'pipe',
      })
      onTestFinished(() => void child.kill('SIGKILL'))
      expect(await ended(child)).toMatchObject({ code: 0, stderr: '' })
      rmSync(join(cwd, 'kuma-data'), { recursive: true })
    }
    expect(existsSync(join(top, 'ran', '1'))).toBe(true)
  })
})

test('one that others may write to is refused, whoever it belongs to', async () => {
  const cwd = folder()
  const file = join(cwd, 'kuma.config.mjs')
  writeFileSync(file, 'export default {}')
  const refused = { code: 'KUMA_INVALID_CONFIG', hint: expect.stringContaining('--config FILE') }
  chmodSync(file, 0o666)
  await expect(loadConfig({ cwd })).rejects.toMatchObject({ ...refused, message: expect.stringContaining(file) })
  await expect(loadConfig({ cwd, file })).resolves.toMatchObject({ file })
  chmodSync(file, 0o600)
  await expect(loadConfig({ cwd })).resolves.toMatchObject({ file })
  chmodSync(cwd, 0o777)
  await expect(loadConfig({ cwd })).rejects.toMatchObject(refused)
})
