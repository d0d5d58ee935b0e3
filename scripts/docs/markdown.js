/** Pieces of Markdown. */

/** @param rows of cells, which may hold any text */
export function table(heads, rows) {
  const line = (cells) =>
    `| ${cells
      .map((cell) =>
        String(cell ?? '')
          .replaceAll('|', '\\|')
          .replaceAll('\n', ' '),
      )
      .join(' | ')} |`
  return [line(heads), line(heads.map(() => '---')), ...rows.map(line)].join('\n')
}

export function code(text, language = '') {
  return `\`\`\`${language}\n${text.trimEnd()}\n\`\`\``
}

/** Paragraphs, without those that are empty. */
export function paragraphs(...parts) {
  return parts.filter((part) => part).join('\n\n')
}
