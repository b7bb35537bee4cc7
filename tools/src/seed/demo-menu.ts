/** The catalogue of the sample tenant demo, an Italian restaurant. */
import { productsFrom, type SamplePromotion } from './catalogue.ts';

export const demoProducts = productsFrom('demo', {
  starters: `
Bruschetta al Pomodoro|Grilled sourdough with ripe tomatoes, garlic and basil|650|vegan classic|kcal=310 allergens=gluten
Bruschetta ai Funghi|Grilled sourdough with wild mushrooms and thyme|750|vegan|kcal=340 allergens=gluten
Caprese|Buffalo mozzarella, tomatoes, basil oil|950|vegetarian cold|kcal=420 allergens=milk
Vitello Tonnato|Thin slices of veal under a tuna and caper sauce|1290|cold classic|kcal=480 allergens=fish,egg
Carpaccio di Manzo|Raw beef, rocket, lemon and shaved parmesan|1350|cold|kcal=390 allergens=milk
Burrata con Pesche|Creamy burrata with grilled peaches and pistachios|1190|vegetarian seasonal|kcal=510 allergens=milk,nuts
Arancini|Three fried rice balls with saffron and mozzarella|790|vegetarian fried|kcal=560 allergens=milk,gluten,egg
Calamari Fritti|Crisp squid rings with lemon aioli|1090|fried|kcal=610 allergens=molluscs,gluten,egg
Antipasto Misto|Cured ham, salami, pecorino, olives and pickles for two|1690|sharing|kcal=890 allergens=milk
Minestrone|Vegetable soup with beans and a spoon of pesto|690|vegetarian soup|kcal=280 allergens=milk,celery`,
  pizza: `
Margherita|Tomato, mozzarella, basil|890|vegetarian classic|kcal=840 size_cm=30 allergens=gluten,milk
Marinara|Tomato, garlic, oregano, no cheese|790|vegan classic|kcal=690 size_cm=30 allergens=gluten
Diavola|Tomato, mozzarella, spicy salami, chilli|1090|spicy|kcal=980 size_cm=30 allergens=gluten,milk
Quattro Formaggi|Mozzarella, gorgonzola, taleggio, parmesan|1190|vegetarian|kcal=1120 size_cm=30 allergens=gluten,milk
Capricciosa|Ham, mushrooms, artichokes, olives|1190|classic|kcal=990 size_cm=30 allergens=gluten,milk
Prosciutto e Rucola|Parma ham, rocket and parmesan on a white base|1290||kcal=960 size_cm=30 allergens=gluten,milk
Funghi e Tartufo|Mushrooms, truffle cream, mozzarella|1390|vegetarian seasonal|kcal=1010 size_cm=30 allergens=gluten,milk
Tonno e Cipolla|Tuna, red onions, capers|1090||kcal=930 size_cm=30 allergens=gluten,milk,fish
Verdure Grigliate|Grilled courgette, aubergine, peppers, vegan cheese|1090|vegan|kcal=780 size_cm=30 allergens=gluten
Calzone|Folded pizza with ham, ricotta and mozzarella|1190|classic|kcal=1080 allergens=gluten,milk
Frutti di Mare|Mussels, prawns, squid, garlic and parsley|1390|off|kcal=890 size_cm=30 allergens=gluten,molluscs,crustaceans
Bambini|Small margherita for children|590|vegetarian children|kcal=450 size_cm=20 allergens=gluten,milk`,
  pasta: `
Spaghetti Carbonara|Guanciale, egg yolk, pecorino, black pepper|1190|classic|kcal=890 allergens=gluten,egg,milk
Spaghetti alle Vongole|Clams, white wine, garlic, parsley|1490||kcal=760 allergens=gluten,molluscs
Penne all'Arrabbiata|Tomatoes, garlic and plenty of chilli|890|vegan spicy|kcal=690 allergens=gluten
Tagliatelle al Ragù|Beef and pork simmered for six hours|1250|classic|kcal=930 allergens=gluten,egg,celery
Lasagne al Forno|Layers of ragù, béchamel and parmesan|1290|oven classic|kcal=1050 allergens=gluten,egg,milk
Lasagne di Verdure|Layers of roasted vegetables and ricotta|1190|vegetarian oven|kcal=880 allergens=gluten,egg,milk
Gnocchi al Gorgonzola|Potato gnocchi, gorgonzola, walnuts|1190|vegetarian|kcal=970 allergens=gluten,milk,nuts
Ravioli Ricotta e Spinaci|Hand-made ravioli in sage butter|1290|vegetarian|kcal=820 allergens=gluten,egg,milk
Orecchiette con Broccoli|Broccoli, anchovies, garlic, breadcrumbs|1090||kcal=710 allergens=gluten,fish
Risotto ai Porcini|Carnaroli rice, porcini, parmesan|1390|vegetarian glutenfree|kcal=840 minutes=20 allergens=milk,celery
Risotto allo Zafferano|Carnaroli rice with saffron|1250|vegetarian glutenfree|kcal=790 minutes=20 allergens=milk,celery
Aglio e Olio|Spaghetti, garlic, olive oil, chilli|790|vegan classic|kcal=720 allergens=gluten`,
  mains: `
Saltimbocca alla Romana|Veal, Parma ham and sage in white wine|1990|classic|kcal=640 allergens=milk
Tagliata di Manzo|Sliced sirloin with rocket and balsamic vinegar|2390|glutenfree|kcal=720 allergens=milk
Pollo alla Cacciatora|Chicken braised with tomatoes, olives and rosemary|1690|glutenfree|kcal=680 allergens=celery
Orata al Forno|Whole sea bream with lemon and potatoes|2190|glutenfree oven|kcal=590 allergens=fish
Gamberi alla Griglia|Grilled prawns with garlic oil|2090|glutenfree off|kcal=430 allergens=crustaceans
Melanzane alla Parmigiana|Baked aubergine, tomato, mozzarella|1390|vegetarian oven|kcal=760 allergens=milk
Polpette della Nonna|Meatballs in tomato sauce with polenta|1490|classic|kcal=830 allergens=egg,milk
Ossobuco|Braised veal shank with gremolata|2290|seasonal|kcal=790 allergens=celery`,
  sides: `
Insalata Mista|Leaves, tomatoes, cucumber, carrots|490|vegan glutenfree|kcal=120
Insalata di Rucola|Rocket, cherry tomatoes, parmesan|590|vegetarian glutenfree|kcal=180 allergens=milk
Patate al Rosmarino|Roast potatoes with rosemary|450|vegan glutenfree|kcal=320
Focaccia|Warm, with sea salt and olive oil|390|vegan|kcal=410 allergens=gluten
Verdure del Giorno|Vegetables of the day, grilled|550|vegan glutenfree|kcal=160`,
  desserts: `
Tiramisù|Mascarpone, coffee, cocoa|690|vegetarian classic|kcal=520 allergens=gluten,egg,milk
Panna Cotta|Vanilla cream with raspberry sauce|590|glutenfree|kcal=430 allergens=milk
Cannoli Siciliani|Two crisp rolls with sweet ricotta|650|vegetarian|kcal=480 allergens=gluten,milk,nuts
Affogato|Vanilla ice cream drowned in espresso|490|vegetarian glutenfree|kcal=240 allergens=milk
Gelato|Three scoops of today's flavours|550|vegetarian glutenfree|kcal=360 allergens=milk
Sorbetto al Limone|Lemon sorbet|490|vegan glutenfree|kcal=210`,
  drinks: `
Acqua Naturale|Still water, 0.75 l|390|vegan|ml=750
Acqua Frizzante|Sparkling water, 0.75 l|390|vegan|ml=750
Limonata|House lemonade with mint|450|vegan|ml=400
Chinotto|Bitter orange soda|390|vegan|ml=330
Espresso|Single|250|vegan hot|ml=30
Cappuccino|With foamed milk|350|vegetarian hot|ml=180 allergens=milk
Vino Rosso|Chianti, glass|590|vegan alcohol|ml=200 allergens=sulphites`,
});

export const demoPromotions: SamplePromotion[] = [
  { code: 'BENVENUTO10', kind: 'percent', value: 10, minimum: 0, active: true },
  { code: 'FAMIGLIA5', kind: 'amount', value: 500, minimum: 4_000, active: true },
];
