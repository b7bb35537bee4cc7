/** What is searched by, and what is found. */

export const kinds = ['menu', 'policy', 'faq', 'note'] as const;
export type Kind = (typeof kinds)[number];

/** Every condition given must hold; an empty list of kinds or categories lets nothing through. */
export type Filter = {
  kinds?: readonly Kind[];
  /** Any of them, whatever their case. */
  categories?: readonly string[];
  /** Of what can be ordered. Left out: only what is available, and all that cannot be ordered at all. */
  available?: boolean;
  /** Minor units, both included; what has no price is let through by neither. */
  minPrice?: number;
  maxPrice?: number;
  /** All of them, in lower case. */
  tags?: readonly string[];
  /** None of them, in lower case. */
  withoutAllergens?: readonly string[];
};

export type Chunk = {
  id: string;
  /** The product's or the document's id. */
  source_id: string;
  kind: Kind;
  title: string;
  /** Where the text stands: kind, title, headings. */
  header: string;
  text: string;
  /** Cosine of the angle between query and chunk; what orders the chunks also knows the business rules. */
  score: number;
  tokens: number;
  category: string | null;
  tags: string[];
  allergens: string[];
  /** Minor units. */
  price: number | null;
  currency: string | null;
  /** Null for what cannot be ordered. */
  available: boolean | null;
  /** What a citation names. */
  source: string;
  changed_at: string;
};
