// Visible: text of strangers for a person's terminal, which would obey it: no forged rows, no colours, no other reading direction.
// Not for output that programs read.

const OBEYED = /[\p{Cc}\p{Bidi_Control}]/gu

/** With each control character as \uXXXX. */
export function visible(text: string): string {
  return text.replaceAll(OBEYED, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
