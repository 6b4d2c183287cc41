/** What the engine says, as sentences: the reason, and on a line of its own what to do. */

import { language, text } from '../strings.js';

/** Where English begins to say what to do. */
const REMEDY =
  /[:;] (?=(?:ask|check|choose|convert|cut|export|freeze|give|leave|load|lock|make|mask|measure|mend|name|open|pad|put|repair|save|score|see|take|use|write)\b)/;
/** The same in Chinese. */
const REMEDY_ZH = /。(?=请)/;

/** A sentence begins with a large letter, unless that is part of a name or it goes on, and ends. */
function whole(sentence: string, begins = true): string {
  const begun = begins && /^[a-z]+['\s]/.test(sentence) ? sentence.charAt(0).toUpperCase() + sentence.slice(1) : sentence;
  if (/[.!?\u2026\u3002\uff01\uff1f]$/.test(begun)) return begun;
  return begun + (language.value === 'zh' ? '\u3002' : '.');
}

/** The sentences of a message; with `begins` false the first goes on after a colon. */
export function told(message: string, begins = true): string[] {
  const said = text.said(message);
  const at = said.search(language.value === 'zh' ? REMEDY_ZH : REMEDY);
  if (at < 0) return [whole(said, begins)];
  return [whole(said.slice(0, at), begins), whole(said.slice(at + 1).trim())];
}

/** A message of the engine. `remedy` is what to do about it, where the engine gives that apart. */
export function Told(props: { message: string; remedy?: string; begins?: boolean }) {
  const sentences = [...told(props.message, props.begins), ...(props.remedy ? [whole(text.said(props.remedy))] : [])];
  return (
    <>
      {sentences.map((sentence, index) => (
        <span key={index} class="told-line">
          {sentence}
        </span>
      ))}
    </>
  );
}
