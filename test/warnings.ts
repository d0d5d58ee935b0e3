import { onTestFinished } from 'vitest'

/** The warnings of this process while it tests. */
export function warnings(): string[] {
  const heard: string[] = []
  const hear = ({ message }: Error) => void heard.push(message)
  process.on('warning', hear)
  onTestFinished(() => void process.off('warning', hear))
  return heard
}
