/** Every page of the documents, run from its top to its end. */
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { folder } from '../folder.ts'
import { blocksOf, matches, Shell, stepsOf } from './blocks.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '')
const DOCS = join(ROOT, 'docs')
/** That say why they cannot be run here. */
const NOT_RUN_MAX = 25

const documents = (readdirSync(DOCS, { recursive: true }) as string[])
  .filter((file) => file.endsWith('.md') && !file.startsWith('reference'))
  .map((file) => join('docs', file))
const pages = ['README.md', ...documents.sort()]

const blocks = new Map(pages.map((page) => [page, blocksOf(readFileSync(join(ROOT, page), 'utf8'))]))
const notRun = [...blocks].flatMap(([page, all]) =>
  all.filter((block) => block.notRun !== null).map((block) => ({ page, ...block })),
)

afterAll(() => {
  console.log(`${notRun.length} blocks are not run here`)
  for (const { page, line, notRun: why } of notRun) console.log(`  ${page}:${line}: ${why}`)
})

test('few blocks cannot be run here', () => {
  expect(notRun.length).toBeLessThanOrEqual(NOT_RUN_MAX)
})

test.each(pages)('%s can be followed', async (page) => {
  const shell = new Shell(realpathSync(folder()), ROOT)
  onTestFinished(() => shell.end())
  for (const block of blocks.get(page)!) {
    if (block.notRun !== null) continue
    const at = `${page}:${block.line}`
    if (block.path !== null) shell.write(block)
    else if (block.language === 'console') {
      for (const { command, exitCode, output } of stepsOf(block.text)) {
        const ended = await shell.run(command)
        expect(ended.exitCode, `${at}: ${command}\n${ended.printed}\n`).toBe(exitCode)
        if (output !== null && !matches(output, ended.printed))
          expect({ at, command, printed: ended.printed }).toEqual({ at, command, printed: output })
      }
    } else expect({ at, language: block.language }).toEqual({ at, language: 'text' })
  }
})

describe('links', () => {
  test.each(pages)('of %s lead somewhere', (page) => {
    const text = readFileSync(join(ROOT, page), 'utf8').replace(/^```[\s\S]*?^```$/gm, '')
    const links = [...text.matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)].map(([, path]) =>
      relative(ROOT, join(ROOT, dirname(page), path!)),
    )
    expect(links.filter((path) => !existsSync(join(ROOT, path)))).toEqual([])
  })
})
