/** Runs the binary on a terminal of 100 columns, by way of script(1), which most Linux and macOS have. */
import { spawnSync } from 'node:child_process'
import { BINARY, environment, type Options } from './cli.ts'

export const hasTerminal = spawnSync('script', ['--version']).error === undefined

/** What the terminal shows, stdout and stderr together, if `input` is typed. */
export function onTerminal(args: readonly string[], { cwd, env, input }: Options): string {
  const command = ['stty cols 100;', ...[process.execPath, BINARY, ...args].map((word) => `'${word}'`)].join(' ')
  const words =
    process.platform === 'darwin' ? ['-q', '/dev/null', 'sh', '-c', command] : ['-qec', command, '/dev/null']
  const { stdout } = spawnSync('script', words, {
    cwd,
    env: environment({ TERM: 'xterm-256color', ...env }),
    encoding: 'utf8',
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'inherit'],
    input,
    timeout: 60_000, // against hanging
  })
  return stdout
}
