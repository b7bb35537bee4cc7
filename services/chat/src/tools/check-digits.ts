/** Numbers that can be told from others by their own arithmetic. */

const prefixes = /^(4|5[1-5]|2[2-7]|3[0-9]|6[0-9]|8|9)/;

/** Whether it is a payment card's number: 13 to 19 digits that begin like one and whose Luhn sum is right. */
export function isCardNumber(text: string): boolean {
  const digits = text.replace(/[ -]/g, '');
  return (
    /^\d{13,19}$/.test(digits) &&
    prefixes.test(digits) &&
    !/^(\d)\1+$/.test(digits) &&
    luhnSum(digits) % 10 === 0
  );
}

/** From the right, every second digit counts twice, and its own digits are added (ISO/IEC 7812). */
function luhnSum(digits: string): number {
  let sum = 0;
  for (const [place, digit] of [...digits].reverse().entries()) {
    const value = Number(digit) * (place % 2 === 0 ? 1 : 2);
    sum += value > 9 ? value - 9 : value;
  }
  return sum;
}

/** Whether it is an IBAN: its check digits leave 1 modulo 97 (ISO 13616). */
export function isIban(text: string): boolean {
  const iban = text.replaceAll(' ', '').toUpperCase();
  if (!/^[A-Z]{2}\d{2}[A-Z0-9]{11,30}$/.test(iban)) return false;
  const rearranged = iban.slice(4) + iban.slice(0, 4);
  // Letters count as 10 to 35. Digit by digit: the whole is larger than any number.
  let rest = 0;
  for (const sign of rearranged) {
    const value = Number.parseInt(sign, 36);
    rest = (rest * (value > 9 ? 100 : 10) + value) % 97;
  }
  return rest === 1;
}
