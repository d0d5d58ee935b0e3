/**
 * Text of somebody else on a terminal. Control characters could move the cursor, change the title or answer for the user;
 * bidirectional ones show a text in another order than it has, invisible ones make two ids look the same. All of them are
 * shown as JSON would escape them, so that what was JSON still is. What only chooses how the character before it looks
 * (variation selectors: emoji, names in Chinese and Japanese) is left alone. Imports nothing.
 */
const PLAIN = /^[\x20-\x7e]*$/
const UNSEEN = String.raw`(?!\p{Variation_Selector})[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]`
const FOREIGN = new RegExp(UNSEEN, 'gu')
/** But for line breaks and colours. */
const LAID_OUT = new RegExp(String.raw`(\n|\u001b\[[\d;]*m)|${UNSEEN}`, 'gu')

/** What somebody else wrote, as one line that a terminal shows and does not obey. */
export function visible(text: string): string {
  return PLAIN.test(text) ? text : text.replace(FOREIGN, escaped)
}

/** The same of what has been laid out already: its line breaks and colours stay. */
export function visibleLines(text: string): string {
  return PLAIN.test(text) ? text : text.replace(LAID_OUT, (found, own?: string) => own ?? escaped(found))
}

/** By UTF-16 code unit, as JSON does it. */
function escaped(char: string): string {
  return Array.from({ length: char.length }, (_, i) => `\\u${char.charCodeAt(i).toString(16).padStart(4, '0')}`).join(
    '',
  )
}
