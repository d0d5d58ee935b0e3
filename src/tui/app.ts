/** Draws the cockpit with ink: one Text a line, since what a frame costs is its pieces. */
import { Box, render, Text, useInput, useStdout } from 'ink'
import { createElement as h, useEffect, useReducer } from 'react'
import type { Cockpit } from './cockpit.ts'
import { sizeOf } from './screen.ts'

/** A terminal that does not know its size says 0, and ink would draw nothing at all. */
const sized: NodeJS.WriteStream = Object.create(process.stdout, {
  columns: { get: () => sizeOf(process.stdout).columns },
  rows: { get: () => sizeOf(process.stdout).rows },
})

export function App({ cockpit, suspend }: { readonly cockpit: Cockpit; readonly suspend: () => void }) {
  const [, redraw] = useReducer((count: number) => count + 1, 0)
  const { stdout } = useStdout()
  useInput((input, key) => {
    if (key.ctrl && input === 'z') suspend()
    // what is typed fast, or pasted, comes in one piece
    else if (input.length > 1) for (const char of input) cockpit.press(char, key)
    else cockpit.press(input, key)
  })
  useEffect(() => {
    cockpit.onChange = redraw
    stdout.on('resize', redraw)
    return () => {
      cockpit.onChange = () => {}
      stdout.off('resize', redraw)
    }
  }, [cockpit, stdout])
  const lines = cockpit.lines(sizeOf(stdout))
  return h(
    Box,
    { flexDirection: 'column' },
    // by their places: a line has no identity
    ...lines.map((line, i) => h(Text, { key: i, wrap: 'truncate' }, line === '' ? ' ' : line)),
  )
}

export function draw(cockpit: Cockpit, suspend: () => void): { unmount(): void } {
  return render(h(App, { cockpit, suspend }), { stdout: sized, exitOnCtrlC: false, patchConsole: false })
}
