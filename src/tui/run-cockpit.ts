/** Runs the cockpit on the terminal until it is quit. */
import type { Cockpit } from './cockpit.ts'
import { Screen, sizeOf } from './screen.ts'

/**
 * The first frame is written as it is: ink, which draws all others, is loaded while it is looked at.
 * @returns the signal that ended it, or null
 */
export async function runCockpit(cockpit: Cockpit, quit: Promise<void>): Promise<NodeJS.Signals | null> {
  const { stdout } = process
  let signaled!: (signal: NodeJS.Signals) => void
  const ended = Promise.race([quit.then(() => null), new Promise<NodeJS.Signals>((resolve) => (signaled = resolve))])
  let drawn = { unmount: () => {} }
  let redraw = () => {}
  const screen = new Screen({ onSignal: (signal) => signaled(signal), onContinue: () => redraw() })
  screen.enter()
  stdout.write(cockpit.lines(sizeOf(stdout)).join('\r\n'))
  const { draw } = await import('./app.ts')
  const suspend = () => {
    drawn.unmount()
    screen.suspend()
  }
  redraw = () => {
    drawn.unmount()
    drawn = draw(cockpit, suspend)
  }
  // what ink would take off of the old size is not where it was
  const resized = () => {
    screen.takeOver()
    redraw()
  }
  screen.takeOver()
  redraw()
  stdout.on('resize', resized)
  try {
    return await ended
  } finally {
    stdout.off('resize', resized)
    drawn.unmount()
    screen.leave()
  }
}
