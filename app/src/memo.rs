//! Derived values of one kind for the program: Leptos' memo is compiled anew for every type and every closure, which
//! is a good part of what the browser would have to load. Here only reading knows the type.

use leptos::prelude::*;
use std::{any::Any, marker::PhantomData, sync::Arc};

/// A value of any type that can be compared with another one.
trait Held: Send + Sync {
    fn same(&self, other: &dyn Held) -> bool;
    fn value(&self) -> &dyn Any;
}

impl<T: PartialEq + Send + Sync + 'static> Held for T {
    fn same(&self, other: &dyn Held) -> bool {
        other.value().downcast_ref::<T>() == Some(self)
    }

    fn value(&self) -> &dyn Any {
        self
    }
}

#[derive(Clone)]
struct Erased(Arc<dyn Held>);

impl PartialEq for Erased {
    fn eq(&self, other: &Self) -> bool {
        self.0.same(&*other.0)
    }
}

type Derive = Box<dyn Fn(Option<&Erased>) -> Erased + Send + Sync>;

fn build(derive: Derive) -> leptos::prelude::Memo<Erased> {
    leptos::prelude::Memo::new(move |before: Option<&Erased>| derive(before))
}

/// A value derived from signals: worked out when it is read and something it was derived from has changed; those who
/// read it hear of it only when it differs.
pub struct Memo<T> {
    inner: leptos::prelude::Memo<Erased>,
    of: PhantomData<fn() -> T>,
}

impl<T> Clone for Memo<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Memo<T> {}

/// Derives a value.
pub fn memo<T: PartialEq + Send + Sync + 'static>(derive: impl Fn() -> T + Send + Sync + 'static) -> Memo<T> {
    Memo { inner: build(Box::new(move |_| Erased(Arc::new(derive())))), of: PhantomData }
}

/// Derives a value from signals and the value before.
pub fn memo_from<T: PartialEq + Send + Sync + 'static>(
    derive: impl Fn(Option<&T>) -> T + Send + Sync + 'static,
) -> Memo<T> {
    let inner = build(Box::new(move |before| {
        Erased(Arc::new(derive(before.and_then(|before| before.0.value().downcast_ref()))))
    }));
    Memo { inner, of: PhantomData }
}

/// What a memo holds is what its own function put in.
fn known<T: 'static>(held: &Erased) -> &T {
    match held.0.value().downcast_ref() {
        Some(value) => value,
        None => unreachable!("a memo holds a value of its type"),
    }
}

impl<T: PartialEq + Send + Sync + 'static> Memo<T> {
    /// Reads; who reads is told of changes.
    pub fn with<R>(&self, read: impl FnOnce(&T) -> R) -> R {
        read(known(&self.inner.get()))
    }

    /// Reads without being told of changes.
    pub fn with_untracked<R>(&self, read: impl FnOnce(&T) -> R) -> R {
        read(known(&self.inner.get_untracked()))
    }

    /// As [`Memo::with_untracked`], or nothing when what made the memo is gone.
    pub fn try_with_untracked<R>(&self, read: impl FnOnce(&T) -> R) -> Option<R> {
        self.inner.try_get_untracked().map(|held| read(known(&held)))
    }

    /// Asks to be told of changes.
    pub fn track(&self) {
        self.inner.track();
    }
}

impl<T: PartialEq + Clone + Send + Sync + 'static> Memo<T> {
    /// As [`Memo::with`], a copy.
    pub fn get(&self) -> T {
        self.with(T::clone)
    }

    /// As [`Memo::with_untracked`], a copy.
    pub fn get_untracked(&self) -> T {
        self.with_untracked(T::clone)
    }
}

impl<T: PartialEq + Clone + Send + Sync + 'static> From<Memo<T>> for Signal<T> {
    fn from(memo: Memo<T>) -> Self {
        Signal::derive(move || memo.get())
    }
}

/// A part of a view that follows signals. One type for all of them, for the reason above: what a view becomes when a
/// signal changes is compiled once.
pub fn live<V: IntoAny + 'static>(mut view: impl FnMut() -> V + Send + 'static) -> Box<dyn FnMut() -> AnyView + Send> {
    Box::new(move || view().into_any())
}

type Names = Box<dyn Fn() -> Vec<String> + Send + Sync>;
type OfName = Arc<dyn Fn(String) -> AnyView + Send + Sync>;

fn keyed(names: Names, view: OfName) -> AnyView {
    view! { <For each=names key=Clone::clone children=move |name| view(name) /> }.into_any()
}

/// A view for each name of a list that follows signals, kept as long as its name is in it; no name twice. Leptos' own is
/// compiled anew for every list.
pub fn each_name<V: IntoAny + 'static>(
    names: impl Fn() -> Vec<String> + Send + Sync + 'static,
    view: impl Fn(String) -> V + Send + Sync + 'static,
) -> AnyView {
    keyed(Box::new(names), Arc::new(move |name| view(name).into_any()))
}

/// A condition that follows signals.
pub struct When(Box<dyn Fn() -> bool + Send + Sync>);

impl<F: Fn() -> bool + Send + Sync + 'static> From<F> for When {
    fn from(condition: F) -> Self {
        When(Box::new(condition))
    }
}

/// Shows its children while a condition holds, else the fallback; Leptos' own is compiled anew for every condition.
#[component(transparent)]
pub fn Show(#[prop(into)] when: When, children: ChildrenFn, #[prop(optional, into)] fallback: ViewFn) -> impl IntoView {
    let holds = memo(when.0);
    live(move || if holds.get() { children() } else { fallback.run() })
}
