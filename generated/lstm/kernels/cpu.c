/* lstm: fused node laws in float32, for float32 and bfloat16 arrays. C99 without headers.
 *
 * Made by cgc; do not edit, compile again. Random numbers are a function of the seed and an element's place (Philox 4x32,
 * 7 rounds), so that the backward pass draws what the forward pass drew.
 */

/* Both halves, or one, so that they can be compiled at once. */
#if !defined FORWARD && !defined BACKWARD
#define FORWARD
#define BACKWARD
#endif

/* In loops that are to become vectors no call may be left. */
#define INLINE static inline __attribute__((always_inline))

typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

enum { LANES = 256 }; /* so many elements are worked on at a time */
enum { AHEAD = 8 };   /* steps of a recurrence */

#define PARALLEL(threads) _Pragma("omp parallel for schedule(static) num_threads(threads)")
#ifndef _OPENMP
#undef PARALLEL
#define PARALLEL(threads) (void)threads;
#endif

/* Before a loop whose arrays lie apart: there are too many for a compiler to see it. */
#ifdef __clang__
#define APART _Pragma("clang loop vectorize(assume_safety)")
#else
#define APART _Pragma("GCC ivdep")
#endif

INLINE u32 bits_of(float x) {
    union { float f; u32 u; } both = {x};
    return both.u;
}

INLINE float float_of(u32 x) {
    union { u32 u; float f; } both = {x};
    return both.f;
}

INLINE float larger(float a, float b) { return b > a ? b : a; }

INLINE float smaller(float a, float b) { return b < a ? b : a; }

INLINE u32 high_half(u32 a, u32 b) { return (u32)(((u64)a * b) >> 32); }

/* Elements from `start` on as floats: where they are, or widened into `room`. */
static inline const float *loaded(float *restrict room, const void *from, long start, long count, int half) {
    if (!half) return (const float *)from + start;
    const u16 *x = (const u16 *)from + start;
    for (long i = 0; i < count; i++) room[i] = float_of((u32)x[i] << 16);
    return room;
}

/* Where elements from `start` on are written: their place, or `room`, from which `stored` takes them. */
static inline float *place(float *room, void *to, long start, int half) { return half ? room : (float *)to + start; }

static inline void stored(void *to, const float *restrict from, long start, long count, int half) {
    if (!half) return;
    u16 *x = (u16 *)to + start;
    for (long i = 0; i < count; i++) { /* to the nearest, ties to even */
        const u32 u = bits_of(from[i]);
        x[i] = (u16)(from[i] == from[i] ? (u + 0x7fff + ((u >> 16) & 1)) >> 16 : (u >> 16) | 0x40);
    }
}

/* Elements that will be needed some steps later are asked for. */
static inline void ask(const void *from, long start, long count, int half) {
    const char *x = (const char *)from + start * (half ? 2 : 4);
    for (long i = 0; i < count * (half ? 2 : 4); i += 64) __builtin_prefetch(x + i);
}


#ifdef FORWARD
/* Random words for the counters (first + i, later), i < count: 7 rounds of Philox 4x32. */
#ifdef __AVX2__
/* Counters, a word of each in the lower half of a lane. */
#if defined __AVX512F__ && !defined __clang__
typedef u64 counters __attribute__((vector_size(64)));
typedef long long products __attribute__((vector_size(64)));
typedef int factors __attribute__((vector_size(64)));
#define EVENS {0, 2, 4, 6, 8, 10, 12, 14}
#define low_product(a, b) ((counters)__builtin_ia32_pmuludq512_mask((factors)(a), (factors)(b), (products){0}, 255))
#else
typedef u64 counters __attribute__((vector_size(32)));
#define EVENS {0, 2, 4, 6}
#ifdef __clang__
#define low_product(a, b) (((a) & 0xffffffffu) * (b))
#else
typedef int factors __attribute__((vector_size(32)));
#define low_product(a, b) ((counters)__builtin_ia32_pmuludq256((factors)(a), (factors)(b)))
#endif
#endif

static inline void philox_rounds(counters c[4], u32 k0, u32 k1) {
    const counters none = {0}, m0 = none + 0xd2511f53u, m1 = none + 0xcd9e8d57u;
#pragma GCC unroll 7
    for (int round = 0; round < 7; round++, k0 += 0x9e3779b9u, k1 += 0xbb67ae85u) {
        const counters p0 = low_product(c[0], m0), p1 = low_product(c[2], m1); /* what is in upper halves does not matter */
        c[0] = (p1 >> 32) ^ c[1] ^ (u64)k0;
        c[2] = (p0 >> 32) ^ c[3] ^ (u64)k1;
        c[1] = p1;
        c[3] = p0;
    }
}

static void philox(u32 words[4][LANES], u64 first, u32 later, u64 seed, long count) {
    const counters none = {0}, evens = EVENS;
    for (long i = 0; i < count; i += sizeof none / 4) {
        const counters even = evens + (first + (u64)i), odd = even + 1;
        counters a[4] = {even, even >> 32, none + later, none}, b[4] = {odd, odd >> 32, none + later, none};
        philox_rounds(a, (u32)seed, (u32)(seed >> 32));
        philox_rounds(b, (u32)seed, (u32)(seed >> 32));
#pragma GCC unroll 4
        for (int k = 0; k < 4; k++) {
            const counters both = (a[k] & 0xffffffffu) | (b[k] << 32);
            __builtin_memcpy(&words[k][i], &both, sizeof both);
        }
    }
}
#else
static void philox(u32 words[4][LANES], u64 first, u32 later, u64 seed, long count) {
    const u32 low = (u32)first, high = (u32)(first >> 32), k0 = (u32)seed, k1 = (u32)(seed >> 32);
    for (long i = 0; i < count; i++) {
        const u32 c0 = low + (u32)i, c1 = high + (c0 < low);
        const u32 w0 = (high_half(later, 0xcd9e8d57u) ^ c1) ^ k0;
        const u32 w1 = k1 + 0xbb67ae85u;
        const u32 w2 = (high_half(w0, 0xd2511f53u) ^ (c0 * 0xd2511f53u)) ^ w1;
        const u32 w3 = (high_half(c0, 0xd2511f53u) ^ 0u) ^ k1;
        const u32 w4 = k0 + 0x9e3779b9u;
        const u32 w5 = w4 + 0x9e3779b9u;
        const u32 w6 = (high_half(w2, 0xcd9e8d57u) ^ (w3 * 0xcd9e8d57u)) ^ w5;
        const u32 w7 = (high_half(w3, 0xcd9e8d57u) ^ (later * 0xcd9e8d57u)) ^ w4;
        const u32 w8 = w1 + 0xbb67ae85u;
        const u32 w9 = w8 + 0xbb67ae85u;
        const u32 w10 = (high_half(w6, 0xd2511f53u) ^ (w7 * 0xd2511f53u)) ^ w9;
        const u32 w11 = (high_half(w7, 0xd2511f53u) ^ (w0 * 0xd2511f53u)) ^ w8;
        const u32 w12 = w5 + 0x9e3779b9u;
        const u32 w13 = w12 + 0x9e3779b9u;
        const u32 w14 = (high_half(w10, 0xcd9e8d57u) ^ (w11 * 0xcd9e8d57u)) ^ w13;
        const u32 w15 = (high_half(w11, 0xcd9e8d57u) ^ (w2 * 0xcd9e8d57u)) ^ w12;
        const u32 w16 = w9 + 0xbb67ae85u;
        const u32 w17 = w16 + 0xbb67ae85u;
        const u32 w18 = (high_half(w14, 0xd2511f53u) ^ (w15 * 0xd2511f53u)) ^ w17;
        const u32 w19 = (high_half(w15, 0xd2511f53u) ^ (w6 * 0xd2511f53u)) ^ w16;
        const u32 w20 = w13 + 0x9e3779b9u;
        const u32 w21 = (high_half(w19, 0xcd9e8d57u) ^ (w10 * 0xcd9e8d57u)) ^ w20;
        words[0][i] = (high_half(w18, 0xcd9e8d57u) ^ (w19 * 0xcd9e8d57u)) ^ (w20 + 0x9e3779b9u);
        words[1][i] = w18 * 0xcd9e8d57u;
        words[2][i] = (high_half(w21, 0xd2511f53u) ^ (w14 * 0xd2511f53u)) ^ (w17 + 0xbb67ae85u);
        words[3][i] = w21 * 0xd2511f53u;
    }
}
#endif
#endif

/* e^x; 0 from -104 on, infinite from 89 on. */
INLINE float f32_exp(float x) {
    const float f0 = smaller(larger(x, -104.0f), 90.0f);
    const float f1 = f0 * 1.442695f + 12582912.0f;
    const float f2 = f1 - 12582912.0f;
    const float f3 = f0 - f2 * 0.6933594f - f2 * -0.00021219444f;
    const float f4 = ((0.0013926919f * f3 + 0.008363767f) * f3 + 0.04166655f) * f3 + 0.16666573f;
    const u32 w5 = (bits_of(f1) - 0x4b400000u) + 0x12cu;
    const u32 w6 = w5 >> 1;
    const float f7 = (1.0f + (f3 + f3 * f3 * (f4 * f3 + 0.5f))) * float_of((w6 + 0xffffffe9u) << 23);
    return f7 * float_of(((w5 - w6) + 0xffffffe9u) << 23);
}

/* 1 / (1 + e^-x). */
INLINE float f32_sigmoid(float x) {
    const int t0 = x < 0.0f;
    const float f1 = f32_exp(-__builtin_fabsf(x));
    const float f2 = 1.0f / (1.0f + f1);
    const float f3 = f1 * f2;
    return t0 ? f3 : f2;
}

/* tanh x: x P(x²) / Q(x²), and 1 from 8.3 on. */
INLINE float f32_tanh(float x) {
    const float f0 = smaller(larger(x, -8.3f), 8.3f);
    const float f1 = f0 * f0;
    const float f2 = ((2.1548955e-11f * f1 - 1.4011997e-08f) * f1 + 9.66442e-06f) * f1 + 0.0029633713f;
    const float f3 = ((0.00023404024f * f1 + 0.023936747f) * f1 + 0.46291894f) * f1 + 1.0f;
    const float f4 = larger(f0 * (((f2 * f1 + 0.12958588f) * f1 + 0.99999994f) / f3), -1.0f);
    return smaller(f4, 1.0f);
}

#ifdef FORWARD
/* A word for each of `count` elements from the first on, four of a block. */
static void shared(u32 to[LANES], u64 first, u32 later, u64 seed, long count) {
    const long blocks = ((long)(first % 4) + count + 3) / 4;
    u32 words[4][LANES], all[LANES + 8];
    philox(words, first / 4, later, seed, blocks);
    for (long i = 0; i < blocks; i++) {
        u32 *place = all + 4 * i;
        place[0] = words[0][i], place[1] = words[1][i], place[2] = words[2][i], place[3] = words[3][i];
    }
    for (long i = 0; i < count; i += 16) __builtin_memcpy(to + i, all + first % 4 + i, 16 * sizeof *to);
}
#endif


/* One step t of i, f, g, o, c, m, h, node by node. Arrays are (rows, steps, features), of which rows and steps lie as far apart as is
 * told: x is what is known of energies, p products, v what layers became, v1_2 layer 1 two steps before, s slopes, u weights and biases; e and what
 * begins with d are gradients, g those of what layers became. */

#ifdef FORWARD
void cell_forward(float *const *at, const long *rows_apart, const long *steps_apart, long rows, long features, long t, float rate,
                float straight, u64 seed, int threads) {
    const long chunks = (features + LANES - 1) / LANES;
    (void)rate, (void)straight, (void)seed;
    PARALLEL(threads)
    for (long job = 0; job < rows * chunks; job++) {
        const long row = job / chunks, first = job % chunks * LANES;
        const long count = features - first < LANES ? features - first : LANES;
        float *in_p0 = at[0] + row * rows_apart[0] + t * steps_apart[0] + first;
        float *in_p1 = at[1] + row * rows_apart[1] + t * steps_apart[1] + first;
        float *in_p2 = at[2] + row * rows_apart[2] + t * steps_apart[2] + first;
        float *in_p3 = at[3] + row * rows_apart[3] + t * steps_apart[3] + first;
        float *in_v4_1 = at[4] + row * rows_apart[4] + t * steps_apart[4] + first;
        float *in_x0 = at[5] + row * rows_apart[5] + t * steps_apart[5] + first;
        float *in_x1 = at[6] + row * rows_apart[6] + t * steps_apart[6] + first;
        float *in_x2 = at[7] + row * rows_apart[7] + t * steps_apart[7] + first;
        float *in_x3 = at[8] + row * rows_apart[8] + t * steps_apart[8] + first;
        float *to_v0 = at[9] + row * rows_apart[9] + t * steps_apart[9] + first;
        float *to_v1 = at[10] + row * rows_apart[10] + t * steps_apart[10] + first;
        float *to_v2 = at[11] + row * rows_apart[11] + t * steps_apart[11] + first;
        float *to_v3 = at[12] + row * rows_apart[12] + t * steps_apart[12] + first;
        float *to_v4 = at[13] + row * rows_apart[13] + t * steps_apart[13] + first;
        float *to_v5 = at[14] + row * rows_apart[14] + t * steps_apart[14] + first;
        float *to_v6 = at[15] + row * rows_apart[15] + t * steps_apart[15] + first;
        APART
        for (long i = 0; i < count; i++) {
            const float p0 = in_p0[i];
            const float p1 = in_p1[i];
            const float p2 = in_p2[i];
            const float p3 = in_p3[i];
            const float v4_1 = in_v4_1[i];
            const float x0 = in_x0[i];
            const float x1 = in_x1[i];
            const float x2 = in_x2[i];
            const float x3 = in_x3[i];
            const float f0 = f32_sigmoid(x0 + p0);
            const float f1 = f32_sigmoid(x1 + p1);
            const float f2 = f32_tanh(x2 + p2);
            const float f3 = f32_sigmoid(x3 + p3);
            const float f4 = v4_1 * f1 + f2 * f0;
            const float f5 = f32_tanh(f4);
            to_v0[i] = f0;
            to_v1[i] = f1;
            to_v2[i] = f2;
            to_v3[i] = f3;
            to_v4[i] = f4;
            to_v5[i] = f5;
            to_v6[i] = f5 * f3;
        }
    }
}
#endif

#ifdef BACKWARD
void cell_backward(float *const *at, const long *rows_apart, const long *steps_apart, long rows, long features, long t, float rate,
                float straight, u64 seed, int threads) {
    const long chunks = (features + LANES - 1) / LANES;
    (void)rate, (void)straight, (void)seed;
    PARALLEL(threads)
    for (long job = 0; job < rows * chunks; job++) {
        const long row = job / chunks, first = job % chunks * LANES;
        const long count = features - first < LANES ? features - first : LANES;
        float *in_g4 = at[0] + row * rows_apart[0] + t * steps_apart[0] + first;
        float *in_g6 = at[1] + row * rows_apart[1] + t * steps_apart[1] + first;
        float *in_v0 = at[2] + row * rows_apart[2] + t * steps_apart[2] + first;
        float *in_v1 = at[3] + row * rows_apart[3] + t * steps_apart[3] + first;
        float *in_v2 = at[4] + row * rows_apart[4] + t * steps_apart[4] + first;
        float *in_v3 = at[5] + row * rows_apart[5] + t * steps_apart[5] + first;
        float *in_v4_1 = at[6] + row * rows_apart[6] + t * steps_apart[6] + first;
        float *in_v5 = at[7] + row * rows_apart[7] + t * steps_apart[7] + first;
        float *to_e0 = at[8] + row * rows_apart[8] + t * steps_apart[8] + first;
        float *to_e1 = at[9] + row * rows_apart[9] + t * steps_apart[9] + first;
        float *to_e2 = at[10] + row * rows_apart[10] + t * steps_apart[10] + first;
        float *to_e3 = at[11] + row * rows_apart[11] + t * steps_apart[11] + first;
        float *to_dv4_1 = at[12] + row * rows_apart[12] + t * steps_apart[12] + first;
        APART
        for (long i = 0; i < count; i++) {
            const float g4 = in_g4[i];
            const float g6 = in_g6[i];
            const float v0 = in_v0[i];
            const float v1 = in_v1[i];
            const float v2 = in_v2[i];
            const float v3 = in_v3[i];
            const float v4_1 = in_v4_1[i];
            const float v5 = in_v5[i];
            const float f0 = g6 * v3 * ((v5 + 1.0f) * (1.0f - v5)) + g4;
            to_e0[i] = f0 * v2 * (v0 * (1.0f - v0));
            to_e1[i] = f0 * v4_1 * (v1 * (1.0f - v1));
            to_e2[i] = f0 * v0 * ((v2 + 1.0f) * (1.0f - v2));
            to_e3[i] = g6 * v5 * (v3 * (1.0f - v3));
            to_dv4_1[i] += f0 * v1;
        }
    }
}
#endif

#ifdef FORWARD
void cell_drawn(float *const *at, const long *rows_apart, const long *steps_apart, long rows, long features, long t, float rate,
                float straight, u64 seed, int threads) {
    const long chunks = (features + LANES - 1) / LANES;
    (void)rate, (void)straight, (void)seed;
    /* where features are few, several rows at a time, so that what is drawn fills vectors */
    const long fit = features > 0 ? LANES / features : 1, share = (rows + threads - 1) / threads;
    const long several = fit < 1 || share < 1 ? 1 : fit < share ? fit : share;
    PARALLEL(threads)
    for (long job = 0; job < (rows + several - 1) / several * chunks; job++) {
        const long row = job / chunks * several, first = job % chunks * LANES;
        const long beside = rows - row < several ? rows - row : several;
        const long width = features - first < LANES ? features - first : LANES, count = beside * width;
        u32 words[5][LANES];
        for (u32 k = 0; k < 5; k++) shared(words[k], (u64)(row * features + first), (u32)t * 5 + k + 1, seed, count);
        for (long r = 0; r < beside; r++) {
            const long place = r * width;
            const float *in_p0 = at[0] + (row + r) * rows_apart[0] + t * steps_apart[0] + first;
            const float *in_p1 = at[1] + (row + r) * rows_apart[1] + t * steps_apart[1] + first;
            const float *in_p2 = at[2] + (row + r) * rows_apart[2] + t * steps_apart[2] + first;
            const float *in_p3 = at[3] + (row + r) * rows_apart[3] + t * steps_apart[3] + first;
            const float *in_v4_1 = at[4] + (row + r) * rows_apart[4] + t * steps_apart[4] + first;
            const float *in_x0 = at[5] + (row + r) * rows_apart[5] + t * steps_apart[5] + first;
            const float *in_x1 = at[6] + (row + r) * rows_apart[6] + t * steps_apart[6] + first;
            const float *in_x2 = at[7] + (row + r) * rows_apart[7] + t * steps_apart[7] + first;
            const float *in_x3 = at[8] + (row + r) * rows_apart[8] + t * steps_apart[8] + first;
            float *to_v0 = at[9] + (row + r) * rows_apart[9] + t * steps_apart[9] + first;
            float *to_s0 = at[16] + (row + r) * rows_apart[16] + t * steps_apart[16] + first;
            float *to_v1 = at[10] + (row + r) * rows_apart[10] + t * steps_apart[10] + first;
            float *to_s1 = at[17] + (row + r) * rows_apart[17] + t * steps_apart[17] + first;
            float *to_v2 = at[11] + (row + r) * rows_apart[11] + t * steps_apart[11] + first;
            float *to_s2 = at[18] + (row + r) * rows_apart[18] + t * steps_apart[18] + first;
            float *to_v3 = at[12] + (row + r) * rows_apart[12] + t * steps_apart[12] + first;
            float *to_s3 = at[19] + (row + r) * rows_apart[19] + t * steps_apart[19] + first;
            float *to_v4 = at[13] + (row + r) * rows_apart[13] + t * steps_apart[13] + first;
            float *to_v5 = at[14] + (row + r) * rows_apart[14] + t * steps_apart[14] + first;
            float *to_s5 = at[20] + (row + r) * rows_apart[20] + t * steps_apart[20] + first;
            float *to_v6 = at[15] + (row + r) * rows_apart[15] + t * steps_apart[15] + first;
            APART
            for (long i = 0; i < width; i++) {
                const float p0 = in_p0[i];
                const float p1 = in_p1[i];
                const float p2 = in_p2[i];
                const float p3 = in_p3[i];
                const float v4_1 = in_v4_1[i];
                const float x0 = in_x0[i];
                const float x1 = in_x1[i];
                const float x2 = in_x2[i];
                const float x3 = in_x3[i];
                const u32 random0 = words[0][place + i];
                const u32 random1 = words[1][place + i];
                const u32 random2 = words[2][place + i];
                const u32 random3 = words[3][place + i];
                const u32 random4 = words[4][place + i];
                const float f0 = ((float)(int)(random0 >> 8)) * 5.9604645e-08f;
                const int t1 = f0 < rate;
                const float f2 = f32_sigmoid(x0 + p0);
                const int t3 = f0 < (rate * f2);
                const float f4 = t3 ? 1.0f : 0.0f;
                const float f5 = t1 ? f4 : f2;
                const int t6 = 0.0f < straight;
                const float f7 = f2 * (1.0f - f2);
                const float f8 = t1 ? 0.0f : f7;
                const float f9 = ((float)(int)(random1 >> 8)) * 5.9604645e-08f;
                const int t10 = f9 < rate;
                const float f11 = f32_sigmoid(x1 + p1);
                const int t12 = f9 < (rate * f11);
                const float f13 = t12 ? 1.0f : 0.0f;
                const float f14 = t10 ? f13 : f11;
                const float f15 = f11 * (1.0f - f11);
                const float f16 = t10 ? 0.0f : f15;
                const float f17 = ((float)(int)(random2 >> 8)) * 5.9604645e-08f;
                const int t18 = f17 < rate;
                const float f19 = f32_tanh(x2 + p2);
                const int t20 = f17 < (rate * (0.5f * f19 + 0.5f));
                const float f21 = 2.0f * (t20 ? 1.0f : 0.0f) - 1.0f;
                const float f22 = t18 ? f21 : f19;
                const float f23 = (f19 + 1.0f) * (1.0f - f19);
                const float f24 = t18 ? 0.0f : f23;
                const float f25 = ((float)(int)(random3 >> 8)) * 5.9604645e-08f;
                const int t26 = f25 < rate;
                const float f27 = f32_sigmoid(x3 + p3);
                const int t28 = f25 < (rate * f27);
                const float f29 = t28 ? 1.0f : 0.0f;
                const float f30 = t26 ? f29 : f27;
                const float f31 = f27 * (1.0f - f27);
                const float f32 = t26 ? 0.0f : f31;
                const float f33 = v4_1 * f14 + f22 * f5;
                const float f34 = ((float)(int)(random4 >> 8)) * 5.9604645e-08f;
                const int t35 = f34 < rate;
                const float f36 = f32_tanh(f33);
                const int t37 = f34 < (rate * (0.5f * f36 + 0.5f));
                const float f38 = 2.0f * (t37 ? 1.0f : 0.0f) - 1.0f;
                const float f39 = t35 ? f38 : f36;
                const float f40 = (f36 + 1.0f) * (1.0f - f36);
                const float f41 = t35 ? 0.0f : f40;
                to_v0[i] = f5;
                to_s0[i] = t6 ? f7 : f8;
                to_v1[i] = f14;
                to_s1[i] = t6 ? f15 : f16;
                to_v2[i] = f22;
                to_s2[i] = t6 ? f23 : f24;
                to_v3[i] = f30;
                to_s3[i] = t6 ? f31 : f32;
                to_v4[i] = f33;
                to_v5[i] = f39;
                to_s5[i] = t6 ? f40 : f41;
                to_v6[i] = f39 * f30;
            }
        }
    }
}
#endif

#ifdef BACKWARD
void cell_drawn_backward(float *const *at, const long *rows_apart, const long *steps_apart, long rows, long features, long t, float rate,
                float straight, u64 seed, int threads) {
    const long chunks = (features + LANES - 1) / LANES;
    (void)rate, (void)straight, (void)seed;
    PARALLEL(threads)
    for (long job = 0; job < rows * chunks; job++) {
        const long row = job / chunks, first = job % chunks * LANES;
        const long count = features - first < LANES ? features - first : LANES;
        float *in_g4 = at[0] + row * rows_apart[0] + t * steps_apart[0] + first;
        float *in_g6 = at[1] + row * rows_apart[1] + t * steps_apart[1] + first;
        float *in_s0 = at[2] + row * rows_apart[2] + t * steps_apart[2] + first;
        float *in_s1 = at[3] + row * rows_apart[3] + t * steps_apart[3] + first;
        float *in_s2 = at[4] + row * rows_apart[4] + t * steps_apart[4] + first;
        float *in_s3 = at[5] + row * rows_apart[5] + t * steps_apart[5] + first;
        float *in_s5 = at[6] + row * rows_apart[6] + t * steps_apart[6] + first;
        float *in_v0 = at[7] + row * rows_apart[7] + t * steps_apart[7] + first;
        float *in_v1 = at[8] + row * rows_apart[8] + t * steps_apart[8] + first;
        float *in_v2 = at[9] + row * rows_apart[9] + t * steps_apart[9] + first;
        float *in_v3 = at[10] + row * rows_apart[10] + t * steps_apart[10] + first;
        float *in_v4_1 = at[11] + row * rows_apart[11] + t * steps_apart[11] + first;
        float *in_v5 = at[12] + row * rows_apart[12] + t * steps_apart[12] + first;
        float *to_e0 = at[13] + row * rows_apart[13] + t * steps_apart[13] + first;
        float *to_e1 = at[14] + row * rows_apart[14] + t * steps_apart[14] + first;
        float *to_e2 = at[15] + row * rows_apart[15] + t * steps_apart[15] + first;
        float *to_e3 = at[16] + row * rows_apart[16] + t * steps_apart[16] + first;
        float *to_dv4_1 = at[17] + row * rows_apart[17] + t * steps_apart[17] + first;
        APART
        for (long i = 0; i < count; i++) {
            const float g4 = in_g4[i];
            const float g6 = in_g6[i];
            const float s0 = in_s0[i];
            const float s1 = in_s1[i];
            const float s2 = in_s2[i];
            const float s3 = in_s3[i];
            const float s5 = in_s5[i];
            const float v0 = in_v0[i];
            const float v1 = in_v1[i];
            const float v2 = in_v2[i];
            const float v3 = in_v3[i];
            const float v4_1 = in_v4_1[i];
            const float v5 = in_v5[i];
            const float f0 = g6 * v3 * s5 + g4;
            to_e0[i] = f0 * v2 * s0;
            to_e1[i] = f0 * v4_1 * s1;
            to_e2[i] = f0 * v0 * s2;
            to_e3[i] = g6 * v5 * s3;
            to_dv4_1[i] += f0 * v1;
        }
    }
}
#endif
